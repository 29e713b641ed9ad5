"""What is set aside is logged once per fault, with a plain traceback, however many components it strikes."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from service.projections.engine import set_aside


@pytest.fixture(autouse=True)
def _nothing_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_aside, "_logged", {})


def failing(value: int) -> None:
    local = {"a person": "name@example.com"}
    raise ValueError(f"cannot fold {value} of {len(local)}")


def other(value: int) -> None:
    raise ValueError(f"cannot fold {value} either")


def raised(rule: object, value: int) -> Exception:
    try:
        rule(value)  # type: ignore[operator]
    except ValueError as error:
        return error
    raise AssertionError


def test_a_fault_that_strikes_every_component_is_logged_once_and_all_of_them_are_kept() -> None:
    several = [set_aside.SetAside() for _ in range(3)]
    with capture_logs() as logs:
        for number in range(3_000):
            several[number % 3].note(number + 1, raised(failing, number), number + 1)
        several[0].note(1, raised(other, 1), 1)
    assert [one["event"] for one in logs] == ["set aside", "set aside"]
    assert "in failing" in logs[0]["traceback"]
    assert "ValueError: cannot fold 0 of 1" in logs[0]["traceback"]
    assert "name@example.com" not in logs[0]["traceback"]
    assert "in other" in logs[1]["traceback"]
    assert [len(one.waiting()) for one in several] == [1_000] * 3


def test_a_fault_is_logged_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = set_aside.SetAside()
    with capture_logs() as logs:
        kept.note(1, raised(failing, 1), 1)
        monkeypatch.setattr(set_aside, "_AGAIN", 0.0)
        kept.note(2, raised(failing, 2), 2)
    assert len(logs) == 2


def test_a_traceback_is_bounded_however_deep_and_long_its_error_is() -> None:
    def deeper(value: int) -> None:
        if value:
            deeper(value - 1)
        raise ValueError("x" * 100_000)

    with capture_logs() as logs:
        set_aside.SetAside().note(1, raised(deeper, 300), 1)
    assert len(logs[0]["traceback"]) <= 8_000
