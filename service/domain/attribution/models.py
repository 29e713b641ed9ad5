"""Models: by which rule touches are weighed. Ten are built in, and others are published as definitions of such a kind.

read({"kind": "time_decay", "half_life_days": 14})    # → Model
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple

from service.domain.fields import ID, MAX_NUMBER, NUMBER, OBJECT, Kind
from service.domain.stages import share_of

OFFICIAL = "source_campaign"  # unless another model is published as the official one
FIRST, LAST, LEAD, OPPORTUNITY = "first", "last", "lead_creation", "opportunity_creation"
MILESTONES = (FIRST, LAST, LEAD, OPPORTUNITY)
MOST_DAYS = 365


def _shares(**of: str) -> Mapping[str, Fraction]:
    return MappingProxyType({name: Fraction(share) for name, share in of.items()})


# What each milestone has; the rest goes to the touches without one, equally.
_OF_MILESTONES: dict[str, Mapping[str, Fraction]] = {
    "first_touch": _shares(first="1"),
    "last_touch": _shares(last="1"),
    "linear": _shares(),
    "u_shaped": _shares(first="0.4", lead_creation="0.4"),
    "w_shaped": _shares(first="0.3", lead_creation="0.3", opportunity_creation="0.3"),
    "full_path": _shares(first="0.225", lead_creation="0.225", opportunity_creation="0.225", last="0.225"),
    "position_based": _shares(first="0.4", last="0.4"),
}
_PUBLISHED_ONLY = ("weighted_activities", "milestones")
KINDS = (OFFICIAL, *_OF_MILESTONES, "time_decay", *_PUBLISHED_ONLY)
RESERVED = frozenset({*KINDS, "shapley", "markov", "official"})


DEFINITION = Kind(
    OBJECT.check,
    {
        "type": "object", "required": ["kind"],
        "properties": {
            "kind": {"enum": list(KINDS)},
            "weights": {
                "type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
                "description": "of weighted_activities: a share by activity_type; others have 0",
            },
            "normalised": {"type": "boolean", "description": "false: what the weights do not come up to is unattributed"},
            "half_life_days": {"type": "number", "exclusiveMinimum": 0, "description": "of time_decay: 7 unless stated"},
            "lookback_days": {"type": "number", "minimum": 0, "maximum": MOST_DAYS, "description": "90 unless stated"},
            "view_lookback_days": {"type": "number", "minimum": 0, "maximum": MOST_DAYS, "description": "7 unless stated"},
            "shares": {
                "type": "object", "properties": {name: {"type": "number", "minimum": 0, "maximum": 1} for name in MILESTONES},
                "description": "of milestones: 1 in all at most; the rest goes to the touches between",
            },
        },
        "examples": [{"kind": "time_decay", "half_life_days": 14}],
    },
)  # fmt: skip


class Model(NamedTuple):
    """A way to weigh touches.

    `shares` are those of milestones, `weights` by activity; `half_life` and the lookbacks are days of 24 hours. Weights that are
    not `normalised` leave what they do not come up to unattributed.
    """

    kind: str
    shares: Mapping[str, Fraction] = MappingProxyType({})
    weights: Mapping[str, Fraction] = MappingProxyType({})
    normalised: bool = True
    half_life: Fraction = Fraction(7)
    lookback: Fraction = Fraction(90)
    view_lookback: Fraction = Fraction(7)

    @property
    def touched(self) -> bool:
        """Whether it goes by touches: the source campaign does not."""
        return self.kind != OFFICIAL


BUILT_IN: Mapping[str, Model] = MappingProxyType({
    kind: Model(kind, _OF_MILESTONES.get(kind, {})) for kind in KINDS if kind not in _PUBLISHED_ONLY
})  # fmt: skip


class UnusableError(ValueError):
    """A definition that no model can be made of: the field that is wrong, and what is expected there."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}")
        self.field, self.expected = field, expected


def read(definition: Mapping[str, Any], *, kept: bool = False) -> Model:
    """Return the model of a published definition; UnusableError where there is none.

    `kept`: as facts have it, which write numbers with a fraction as texts.
    """
    kind = definition.get("kind")
    if type(kind) is not str or kind not in KINDS:
        raise UnusableError("kind", f"one of {', '.join(KINDS)}")
    if kind != "milestones" and _stated(definition, "shares"):
        raise UnusableError(
            "shares", f"to be absent: {kind} has its own, and those of your own are of the kind milestones"
        )
    normalised = definition["normalised"] if _stated(definition, "normalised") else True
    if type(normalised) is not bool:
        raise UnusableError("normalised", "true or false")
    found = _Numbers(definition, kept)
    return Model(
        kind,
        found.shares() if kind == "milestones" else _OF_MILESTONES.get(kind, {}),
        found.weights(required=kind == "weighted_activities"),
        normalised,
        found.days("half_life_days", Fraction(7), MAX_NUMBER, above_0=True),
        found.days("lookback_days", Fraction(90), MOST_DAYS),
        found.days("view_lookback_days", Fraction(7), MOST_DAYS),
    )


def check(data: Mapping[str, Any]) -> tuple[str, str] | None:
    """Hold a publication to what can be used: a definition of a model, under an id that is not taken."""
    if data["model_id"] in RESERVED:
        return "model_id", f"an id of its own: {', '.join(sorted(RESERVED))} are taken"
    try:
        read(data["definition"])
    except UnusableError as error:
        return f"definition.{error.field}", error.expected
    return None


def _stated(definition: Mapping[str, Any], name: str) -> bool:
    return definition.get(name) is not None


class _Numbers:
    """Reads the numbers of a definition, exactly to 40 digits after the point."""

    def __init__(self, definition: Mapping[str, Any], kept: bool) -> None:
        self._definition = definition
        self._kept = kept

    def shares(self) -> Mapping[str, Fraction]:
        """Return the shares of milestones."""
        expected = f"an object with a share from 0 to 1 for one or more of {', '.join(MILESTONES)}"
        found = self._object("shares", expected)
        if not found.keys() <= {*MILESTONES} or not found:
            raise UnusableError("shares", expected)
        shares = {name: self._number(f"shares.{name}", found[name], 1) for name in MILESTONES if name in found}
        if sum(shares.values()) > 1:
            raise UnusableError("shares", f"shares that come to 1 at most, not to {float(sum(shares.values()))}")
        return shares

    def weights(self, *, required: bool) -> Mapping[str, Fraction]:
        """Return the weights of activities."""
        expected = (
            'an object with a share from 0 to 1 by activity_type, such as {"newsletter": 0.05, "white paper": 0.3}'
        )
        if not required and not _stated(self._definition, "weights"):
            return {}
        found = self._object("weights", expected)
        weights = {name: self._number(f"weights.{name}", one, 1) for name, one in found.items()}
        if required and not any(weights.values()):
            raise UnusableError("weights", f"{expected}; at least one above 0")
        return weights

    def days(self, name: str, default: Fraction, most: int, *, above_0: bool = False) -> Fraction:
        """Return a number of days."""
        if not _stated(self._definition, name):
            return default
        found = self._number(name, self._definition[name], most)
        if above_0 and not found:
            raise UnusableError(name, f"a number of days above 0, at most {most}")
        return found

    def _object(self, name: str, expected: str) -> Mapping[str, Any]:
        found = self._definition.get(name)
        if type(found) is not dict or any(ID.check(one) for one in found):
            raise UnusableError(name, expected)
        return found

    def _number(self, name: str, value: Any, most: int) -> Fraction:
        expected = f"a number from 0 to {most}"
        if self._kept and type(value) is str:
            value = Decimal(value)
        if NUMBER.check(value) is not None or not 0 <= value <= most:
            raise UnusableError(name, expected)
        return share_of(value)
