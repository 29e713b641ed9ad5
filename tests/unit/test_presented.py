"""What a request brings, and where it comes from: a proxy's word counts from proxies alone, and only as far as these stand."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from service.api.presented import forwarded, presented
from service.store import networks

PROXIES = networks.of(["10.0.0.0/8", "2001:db8::/32"])


def scope(client: str, *headers: tuple[str, str], scheme: str = "http") -> dict[str, Any]:
    sent = [(name.encode(), value.encode()) for name, value in headers]
    return {"type": "http", "client": (client, 1), "scheme": scheme, "headers": sent}


@pytest.mark.parametrize(
    ("client", "told", "address"),
    [
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),  # whoever is no proxy speaks for nobody
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.9, 198.51.100.7"], "198.51.100.7"),  # what the client itself had sent is not believed
        ("10.0.0.1", ["198.51.100.7, 10.9.9.9"], "198.51.100.7"),  # a chain of proxies
        ("10.0.0.1", ["198.51.100.9", "198.51.100.7, 10.9.9.9"], "198.51.100.7"),  # in several headers
        ("10.0.0.1", ["10.0.0.7"], "10.0.0.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, nonsense"], "nonsense"),  # which is in no network that a key holds for
        ("2001:db8::1", ["2001:4860::1"], "2001:4860::1"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
    ],
)
def test_the_address_is_the_first_from_the_right_that_is_no_proxys(client: str, told: list[str], address: str) -> None:
    asked = scope(client, *(("x-forwarded-for", one) for one in told), ("x-forwarded-proto", "https"))
    found = forwarded(asked, PROXIES)
    assert found["client"][0] == address
    assert (found["scheme"], found.get("proxied", False)) == (
        ("http", False) if client == "192.0.2.1" else ("https", True)
    )
    assert forwarded(asked, ()) is asked


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("headers", "brought"),
    [
        ([], ("", "")), ([("authorization", "Bearer k")], ("bearer", "k")), ([("authorization", "bearer  k ")], ("bearer", "k")),
        ([("authorization", basic("a:k:with:colons"))], ("basic", "k:with:colons")), ([("authorization", basic("k"))], ("", "")),
        ([("authorization", "Basic ?")], ("", "")), ([("authorization", "Bearer " + "k" * 513)], ("", "")),
        ([("authorization", "Digest k")], ("", "")), ([("cookie", "a=b; session=s")], ("session", "s")),
        ([("cookie", "a=b"), ("cookie", "session=s")], ("session", "s")), ([("cookie", "__Host-session=s")], ("", "")),
        ([("cookie", "session=s"), ("authorization", "Bearer k")], ("bearer", "k")),
        ([("cookie", "session=s"), ("authorization", "Bearer")], ("", "")),  # a program that means to show a key
    ],
)  # fmt: skip
def test_a_key_goes_before_a_cookie_and_what_cannot_be_read_is_nothing(
    headers: list[tuple[str, str]], brought: tuple[str, str]
) -> None:
    assert tuple(presented(scope("192.0.2.1", *headers))) == brought


def test_over_https_only_the_cookie_that_is_bound_to_the_host_counts() -> None:
    both = [("cookie", "session=planted; __Host-session=own")]
    assert presented(scope("192.0.2.1", *both, scheme="https")).secret == "own"
    assert presented(scope("192.0.2.1", *both)).secret == "planted"
