"""How the entries of a figure, and a restatement, have to fit what a report answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from service.domain.attribution.measures import dealt
from service.domain.cubes import total_of
from service.domain.figures import Formula, Total
from service.domain.report import Report
from service.projections.reports import entries, restatement
from service.projections.sums.selection import Query
from tests.support import contract
from tests.support.memory import answer, now


def _sum(lines: Iterable[Mapping[str, Any]], measures: Iterable[str]) -> Decimal:
    def posted(line: Mapping[str, Any]) -> str:
        return dealt(line["model"], line["measure"]) if "model" in line else str(line["measure"])

    return sum((Decimal(str(one["amount"])) for one in lines if posted(one) in measures), Decimal(0))


async def check_entries(view: Any, report: Report, query: Query, name: str, limit: int) -> None:
    """The pages of entries add up to a figure that is a sum, else to each of those that it is made of.

    Entries are asked for by filters, not by groups: a thing that stands in several rows is in the total once.
    """
    if report.facets:
        query = replace(query, group_by=tuple(one for one in query.group_by if one not in report.facets.dimensions))
        if report.facets.to_name(query.only) is not None:
            return  # such a filter is refused
    after, lines = (0, 0), []
    asked = await entries.asked(view, query, report, name, now(view.ledger))
    while True:
        body, following = await entries.read(view, asked, after, limit)
        lines += body["entries"]
        if following is None:
            break
        after = following
    assert body["count"] == len(lines)
    made_of = report.additive(name)
    assert made_of is not None
    sums = body.get("sums", {name: body["sum"]})
    assert sums.keys() == made_of.keys()
    for one, measures in made_of.items():
        if one.endswith(total_of("")):  # of a duration: each entry has its length, to four decimals
            lengths = [line["days"] * line["amount"] for line in lines if total_of(line["measure"]) == one]
            assert abs(sum(lengths) - sums[one]) < 0.0001 * (1 + len(lengths))
        else:
            assert Decimal(str(sums[one])) == _sum(lines, measures), (name, one)
    figure, total = report.figures.get(name), (await answer(view, report, query)).total
    if isinstance(figure, Formula):
        return  # which is made of what counts on cohort days
    for one, value in sums.items():
        shown = contract.figure_in(total, one) if isinstance(report.figures.get(one), Total) else None
        assert shown in (None, value)
    assert ("reasons" in body) == (isinstance(figure, Total) and contract.figure_in(total, name) is None)


async def check_restatement(then: Any, now: Any, report: Report, query: Query, name: str | None) -> None:
    """Rows have the difference of what was answered then and now, and the lines of a row add up to it."""
    compared = restatement.measures(report, name, query.group_by)
    after, lines = (0, 0), []
    while True:
        body, following = await restatement.read(then, now, query, compared, after, 4)
        lines += body["lines"]
        if following is None:
            break
        after = following
    assert body["count"] == len(lines)
    (old, _), (new, _) = await contract.table(then, report, query), await contract.table(now, report, query)
    rows = {(contract.key_of(row, query), row["measure"]): row for row in body["rows"]}
    nothing = dict.fromkeys(compared, Decimal(0))
    for key in old.keys() | new.keys():
        of_key = [line for line in lines if contract.key_of(line, query) == key]
        for one, figure in compared.items():
            before, after_it = old.get(key, nothing)[one], new.get(key, nothing)[one]
            row = rows.pop((key, one), None)
            moved = Decimal(0) if row is None else Decimal(str(row["difference"]))
            assert moved == _sum(of_key, figure.of), (key, one)
            if before is not None and after_it is not None:
                assert moved == after_it - before, (key, one)
    assert not rows
    whole = replace(query, group_by=())
    for view, moment in ((then, "then"), (now, "now")):
        _, total = await contract.table(view, report, whole)
        for one in compared:
            assert total[one] in (None, Decimal(str(body["total"][one][moment])))
