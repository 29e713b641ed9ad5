"""Where sums are stored: each cube's measures have numbered columns, and each of its roll-ups has a letter.

A generation of the read models keeps the layout that it was made by, so that it can be read after a release has added measures
and dimensions to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from service.domain.cubes import Cube, Posts

COLUMNS = 64  # numbered ones that a balance has: m1, m2 …
_LETTERS = "ABDEFGHIJKLMNOPQRSTUVWXYZabdefghijklmnopqruvwxyz"
_OF_DEALS = "sct"


class Stored(NamedTuple):
    """A cube as it is stored: one of `letters` for all its dimensions together, then one per roll-up."""

    by: tuple[str, ...]
    rollups: tuple[tuple[str, ...], ...]
    cohort: bool
    letters: str
    measures: tuple[str, ...]

    def levels(self) -> Iterable[tuple[str, tuple[str, ...]]]:
        """Return (letter, dimensions) of all that is stored, the finest first."""
        return zip(self.letters, (self.by, *self.rollups), strict=True)

    def letter(self, dimensions: Iterable[str]) -> str:
        """Return the letter of the coarsest sums that tell these dimensions apart; what the cube does not know, none do."""
        needed = {*dimensions} & {*self.by}
        return [letter for letter, kept in self.levels() if needed <= {*kept}][-1]


class Layout:
    """The stored cubes of one generation, by name."""

    def __init__(self, cubes: dict[str, Stored]) -> None:
        self.cubes = cubes
        self._cube_of = {measure: name for name, cube in cubes.items() for measure in cube.measures}
        self._columns = {
            measure: f"m{number}" for cube in cubes.values() for number, measure in enumerate(cube.measures, 1)
        }

    def __contains__(self, measure: str) -> bool:
        return measure in self._columns

    def cube_of(self, measure: str) -> str | None:
        """Return the cube that a measure is posted to; None if this layout knows none."""
        return self._cube_of.get(measure)

    def column(self, measure: str) -> str:
        """Return the column of a measure; KeyError if this layout knows none."""
        return self._columns[measure]

    @property
    def columns(self) -> list[str]:
        """The columns that any cube uses."""
        most = max((len(cube.measures) for cube in self.cubes.values()), default=0)
        return [f"m{number}" for number in range(1, most + 1)]

    def by_column(self) -> dict[str, list[str]]:
        """Return what each column holds, cube by cube."""
        found: dict[str, list[str]] = {}
        for measure, column in self._columns.items():
            found.setdefault(column, []).append(measure)
        return found

    @property
    def measures(self) -> list[str]:
        """Every measure."""
        return list(self._columns)

    def as_json(self) -> str:
        """Return it as a generation keeps it."""
        return json.dumps({name: cube._asdict() for name, cube in self.cubes.items()})


@lru_cache(maxsize=64)
def read(text: str) -> Layout:
    """Return a layout as a generation has kept it."""
    kept: dict[str, dict[str, Any]] = json.loads(text)
    return Layout({
        name: Stored(tuple(one["by"]), tuple(map(tuple, one["rollups"])), one["cohort"], one["letters"], tuple(one["measures"]))
        for name, one in kept.items()
    })  # fmt: skip


def laid_out(posts: Iterable[Posts]) -> Layout:
    """Return the layout of all that is posted; ValueError where it does not fit, or says the same measure twice in two cubes."""
    measures: dict[Cube, list[str]] = {}
    for one in posts:
        measures.setdefault(one.cube, []).extend(
            name for name in one.measures if name not in measures.get(one.cube, ())
        )
    letters = iter(_LETTERS)
    cubes = {}
    for cube in sorted(measures, key=lambda cube: (cube.name != "deals", cube.name)):
        if any(kept and number for number, kept in enumerate(cube.rollups)):
            raise ValueError(
                f"cube {cube.name}: postings know one roll-up by dimensions, which comes first, and that of everything"
            )
        own = _OF_DEALS if cube.name == "deals" else "".join(next(letters) for _ in range(1 + len(cube.rollups)))
        cubes[cube.name] = Stored(cube.by, cube.rollups, cube.cohort, own, tuple(measures[cube]))
        if len(measures[cube]) > COLUMNS:
            raise ValueError(f"cube {cube.name} has {len(measures[cube])} measures, and there are {COLUMNS} columns")
    names = [name for cube in cubes.values() for name in cube.measures]
    if len(names) > len({*names}):
        raise ValueError(f"posted to two cubes: {', '.join(sorted({one for one in names if names.count(one) > 1}))}")
    return Layout(cubes)
