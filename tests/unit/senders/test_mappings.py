"""What mappings of several kinds have alike is refused alike: by its key, with what belongs there."""

from __future__ import annotations

import re

import pytest

from service.intake.senders import KINDS
from tests.support.stories.generic import MAPPING

REQUIRED = {"generic": MAPPING}
WRONG = {
    "timezone": ("Berlin", "expected an IANA time zone"), "time_zone": ("Berlin", "expected an IANA time zone"),
    "url": ("https://[x", "expected that of the site"), "api_url": ("https://[x", "expected a URL"),
    "accounts_url": ("https://", "expected a URL"), "campaigns": ({"A": ""}, "expected a campaign_id"),
}  # fmt: skip
CASES = [
    (kind, key) for kind in sorted(KINDS) for key in WRONG if key in KINDS[kind].check_mapping(REQUIRED.get(kind, {}))
]


@pytest.mark.parametrize(("kind", "key"), CASES)
def test_a_value_that_cannot_be_is_named_by_its_key(kind: str, key: str) -> None:
    value, expected = WRONG[key]
    with pytest.raises(ValueError, match=rf"^{key}(\.A)?: {re.escape(expected)}.*, got "):
        KINDS[kind].check_mapping({**REQUIRED.get(kind, {}), key: value})


def test_each_of_them_is_looked_at_in_some_kind() -> None:
    assert {key for _, key in CASES} == set(WRONG)
