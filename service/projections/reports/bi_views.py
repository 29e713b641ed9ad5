"""The views of the schema `bi`, for tools that speak SQL: made of the declarations, as columns of files are.

Each is of the ledger that `bi_grants` gives to the session's user, and a barrier: no condition of whoever asks is worked out on a
row of another ledger. A report's view has its sums by day and dimensions, of which any sum and ratio can be made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from service.domain import units
from service.domain.calendar import MICROS_PER_DAY
from service.domain.catalogue import CATALOGUE
from service.domain.contributions import REPORTS, UNITS
from service.domain.details import LISTED
from service.domain.events import newest_version
from service.domain.fields import COUNT, DATE, ID, MONEY, MONEY_ABOVE_0, NUMBER_0, SCORE, SHARE, WHOLE, Kind
from service.domain.figures import Total
from service.domain.layout import COLUMNS
from service.domain.money import MINOR_DIGITS
from service.domain.report import Report

_DIGITS = 2  # of most currencies
_MILLION = 1_000_000
_OF_CAMPAIGN = {"name": "campaign_name", "campaign_type": "campaign_type"}
_IDS_OF_PERSONS = ("contact_id", "subject_id", "survivor_id", "merged_id")
_NUMBERS = (COUNT, WHOLE, NUMBER_0, SHARE, SCORE)
_LABELS = (  # texts by which reports are grouped; all others are somebody's own words
    "campaign_type", "channel", "source", "medium", "lead_magnet", "stage", "team", "region", "outcome", "interaction",
    "activity", "activity_type", "level", "category", "period", "measure", "base", "quote", "rate",
)  # fmt: skip

# What the session's user may see. Not in `bi`: the numbers in it are nobody's business.
_SCOPE = """
    SELECT l.ledger, l.name, l.currency, l.timezone, g.generation, g.checkpoint, g.settled, g.version, {digits} AS digits
    FROM bi_grants b JOIN ledgers l USING (ledger) JOIN generations g ON g.ledger = l.ledger AND g.state = 'serving'
    WHERE b.role = session_user
"""

# The cubes of the serving generation: which label is which dimension, and which measure is in which column.
_CUBES = """cubes AS MATERIALIZED (
    SELECT m.*, c.key AS cube, left(c.value->>'letters', 1)::"char" AS letter,
        ARRAY(SELECT json_array_elements_text(c.value->'by')) AS dimensions,
        ARRAY(SELECT json_array_elements_text(c.value->'measures')) AS measures
    FROM bi_scope m JOIN generations g USING (ledger, generation), json_each(g.layout) c
)"""

_CAMPAIGNS = """
    SELECT DISTINCT ON (n.campaign) n.campaign AS campaign_id, n.events, a.attributes
    FROM bi_scope m JOIN known_campaigns n ON n.ledger = m.ledger AND n.generation = m.generation AND n.position <= m.checkpoint
    LEFT JOIN LATERAL (
        SELECT attributes FROM campaigns c WHERE c.ledger = m.ledger AND c.generation = m.generation
        AND c.campaign = n.campaign AND c.position <= m.checkpoint ORDER BY c.position DESC LIMIT 1
    ) a ON true ORDER BY n.campaign, n.position DESC
"""


def views() -> dict[str, str]:
    """Return the statement of each view by its name, helpers first; those in `bi` are for tools."""
    few = " ".join(f"WHEN '{code}' THEN {digits}" for code, digits in MINOR_DIGITS.items() if digits != _DIGITS)
    made = {
        "bi_scope": _SCOPE.format(digits=f"CASE l.currency {few} ELSE {_DIGITS} END"),
        "bi_campaigns": f"SELECT campaign_id, attributes FROM ({_CAMPAIGNS}) c WHERE events > 0",
        "bi.ledger": """
            SELECT m.name, m.currency, m.timezone, m.checkpoint AS position, e.recorded_at, m.version AS definitions
            FROM bi_scope m LEFT JOIN events e ON e.ledger = m.ledger AND e.position = m.checkpoint
        """,
        "bi.campaigns": _campaigns(),
        "bi.events": _events(),
        "bi.entries": _entries(),
        "bi.opportunities": _opportunities(),
    }
    for report in REPORTS.values():
        if is_by_day(report) and (sums := dict(_sums(report))):
            name = report.name.replace("-", "_")
            made[f"bi.{name if f'bi.{name}' not in made else f'{name}_report'}"] = _report(report, sums)
    return made


def is_by_day(report: Report) -> bool:
    """Tell whether a report has sums of days: nothing of it stands in several rows, is dealt on reading or rests on today."""
    plain = report.facets is None and not report.keyed and report.keys is None
    return plain and report.window is None


def fingerprint() -> str:
    """Return what changes with the definition of any view."""
    return hashlib.sha256("\n".join(f"{name} {sql}" for name, sql in views().items()).encode()).hexdigest()[:16]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(figure: str) -> str:
    return '"' + figure.replace(".", "_").replace("-", "_") + '"'


def _amount(exact: str, unit: str) -> str:
    """Return an amount as answers have it, of what is stored: minor units, microseconds or millionths."""
    if unit == units.MONEY:
        return f"round(({exact})::numeric / 10::numeric ^ m.digits, m.digits)"
    if unit == units.DAYS:
        return f"round(({exact})::numeric / {MICROS_PER_DAY}, 4)"
    if unit in (units.SECONDS, units.NUMBER):
        return f"round(({exact})::numeric / {_MILLION}, 6)"
    return f"({exact})::bigint"


def _label(dimension: str, cubes: str = "c") -> str:
    return f"s.labels[array_position({cubes}.dimensions, '{dimension}')]"


def _dated(day: str) -> str:
    return f"nullif({day}, '-infinity'::date)"


def _sums(report: Report) -> Iterator[tuple[str, tuple[Mapping[str, int], str]]]:
    """Yield the sums of a report: by name, the measures that they are made of with their signs, and the unit.

    A sum that is only known under a condition is told by what it is made of.
    """
    beside: dict[str, None] = {}
    for name, figure in report.figures.items():
        if isinstance(figure, Total):
            if figure.unless is None:
                yield name, (figure.of, figure.unit)
            beside.update(dict.fromkeys(figure.measures() if figure.unless else ()))
    own = report.of_kind(Total)
    durations = [one for one in report.measures if f"{one}.total" in report.measures]
    for measure in (*beside, *(part for one in durations for part in (one, f"{one}.total"))):
        if measure not in own:
            yield measure, ({measure: 1}, UNITS[measure])


def _report(report: Report, sums: Mapping[str, tuple[Mapping[str, int], str]]) -> str:
    """The sums of a report by day and dimensions: of balances, and of postings that are in none yet."""
    measures = list(dict.fromkeys(one for of, _ in sums.values() for one in of))
    numbers = {measure: f"x{number}" for number, measure in enumerate(measures)}
    places = ", ".join(f"array_position(measures, {_text(one)}) AS {name}" for one, name in numbers.items())
    stored = ", ".join(f"a.m[c.{name}] AS {name}" for name in numbers.values())
    posted = ", ".join(
        f"sum(p.amount::numeric * p.value) FILTER (WHERE p.measure = {_text(one.removesuffix('.total'))}) AS {name}"
        if one.endswith(".total")
        else f"sum(p.amount) FILTER (WHERE p.measure = {_text(one)}) AS {name}"
        for one, name in numbers.items()
    )
    names = ", ".join(_text(one) for one in {one.removesuffix(".total"): None for one in measures})
    added = ", ".join(
        f"{_amount(' '.join(_signed(numbers[one], sign) for one, sign in of.items()), unit)} AS {_name(name)}"
        for name, (of, unit) in sums.items()
    )
    by = [one for one in report.dimensions if one != "campaign"]
    labels = ", ".join(
        f"coalesce({_label(one)}, nullif(k.attributes->>'channel', '')) AS channel"
        if one == "channel"
        else f"{_label(one)} AS {_name(one)}"
        for one in by
    )
    attributes = ", ".join(f"k.attributes->>'{one}' AS {name}" for one, name in _OF_CAMPAIGN.items())
    campaign = f"s.campaign AS campaign_id, {attributes},"
    heads = (campaign if "campaign" in report.dimensions else "") + (f" {labels}," if labels else "")
    return f"""
        WITH {_CUBES}, placed AS MATERIALIZED (
            SELECT *, {places} FROM cubes WHERE measures && ARRAY[{", ".join(map(_text, measures))}]
        ), found AS (
            SELECT b.ledger, b.generation, b.segment, b.start AS day, {stored}
            FROM placed c JOIN balances b ON b.ledger = c.ledger AND b.generation = c.generation AND b.basis = 'e'
                AND b.cube = c.letter AND b.grain = 'd'
            CROSS JOIN LATERAL (SELECT ARRAY[{", ".join(f"b.m{one}" for one in range(1, COLUMNS + 1))}] AS m OFFSET 0) a
            UNION ALL
            SELECT p.ledger, p.generation, p.segment, p.day, {posted}
            FROM bi_scope m JOIN postings p ON p.ledger = m.ledger AND p.generation = m.generation AND p.position > m.settled
                AND p.position <= m.checkpoint AND p.measure IN ({names})
            GROUP BY p.ledger, p.generation, p.segment, p.day
        ), summed AS (
            SELECT ledger, generation, segment, day, {", ".join(f"coalesce(sum({one}), 0) AS {one}" for one in numbers.values())}
            FROM found GROUP BY ledger, generation, segment, day
            HAVING num_nonnulls({", ".join(f"nullif(sum({one}), 0)" for one in numbers.values())}) > 0
        )
        SELECT {_dated("f.day")} AS day, {heads} {added}
        FROM summed f JOIN bi_scope m USING (ledger, generation) JOIN segments s USING (ledger, generation, segment)
        JOIN cubes c ON c.cube = s.cube LEFT JOIN bi_campaigns k ON k.campaign_id = s.campaign
    """


def _signed(name: str, sign: int) -> str:
    return f"{'+' if sign > 0 else '-'} f.{name}"


def _entries() -> str:
    """Every posting of a measure that figures are made of, with its event."""
    known = {one for report in REPORTS.values() for one in report.measures}
    of = ", ".join(f"({_text(one)}, {_text(UNITS[one])})" for one in sorted(known & UNITS.keys()))
    amount = " ".join(
        f"WHEN u.unit = '{unit}' THEN {_amount('p.amount', unit)}"
        for unit in (units.MONEY, units.SECONDS, units.NUMBER)
    )
    labels = ", ".join(
        f"{_label(one)} AS {_name(one)}"
        for one in ("channel", "source", "medium", "lead_magnet", "owner", "team", "region", "account", "stage")
    )
    return f"""
        WITH {_CUBES}, measured (measure, unit) AS MATERIALIZED (VALUES {of})
        SELECT p.position, p.line, p.measure, u.unit, CASE {amount} ELSE p.amount::numeric END AS amount,
            {_amount("p.amount::numeric * p.value", units.DAYS)} AS days, {_dated("p.day")} AS day,
            {_dated("p.cohort")} AS cohort_day, split_part(p.entity, ':', 1) AS entity_kind,
            substr(p.entity, strpos(p.entity, ':') + 1) AS entity_id, s.campaign AS campaign_id, {labels},
            e.type AS event_type, e.source AS event_source, e.id AS event_id, e.recorded_at
        FROM bi_scope m JOIN postings p ON p.ledger = m.ledger AND p.generation = m.generation AND p.position <= m.checkpoint
        JOIN measured u ON u.measure = p.measure
        JOIN segments s ON s.ledger = p.ledger AND s.generation = p.generation AND s.segment = p.segment
        JOIN cubes c ON c.cube = s.cube LEFT JOIN events e ON e.ledger = p.ledger AND e.position = p.position
    """


def _opportunities() -> str:
    """The opportunities that are listed, as they stand; without their names, which may be persons'."""
    told, first = "(o.detail::json)", "'0001-01-01'::date - 1"
    labels = ", ".join(f"{_label(one)} AS {_name(one)}" for one in ("account", "owner", "team", "region"))
    money = ", ".join(
        f"{_amount(f'{told}->>{_text(one)}', units.MONEY)} AS {one}" for one in ("value", "weighted_value")
    )
    return f"""
        WITH {_CUBES}, listed AS (
            SELECT p.ledger, p.generation, p.entity, p.detail, p.segment, p.day
            FROM bi_scope m JOIN postings p ON p.ledger = m.ledger AND p.generation = m.generation
                AND p.position <= m.checkpoint AND p.measure = '{LISTED}'
            GROUP BY p.ledger, p.generation, p.entity, p.detail, p.segment, p.day HAVING sum(p.amount) <> 0
        )
        SELECT substr(o.entity, strpos(o.entity, ':') + 1) AS opportunity_id, {told}->>'status' AS status,
            {told}->>'stage' AS stage, {first} + ({told}->>'stage_since')::integer AS stage_since, {money},
            ({told}->>'probability')::numeric AS probability, ({told}->>'expected_close')::date AS expected_close,
            {_dated("o.day")} AS opened_on, {first} + ({told}->>'decided')::integer AS decided_on, {labels},
            s.campaign AS campaign_id
        FROM listed o JOIN bi_scope m USING (ledger, generation) JOIN segments s USING (ledger, generation, segment)
        JOIN cubes c ON c.cube = s.cube
    """


def _campaigns() -> str:
    texts = ", ".join(f"attributes->>'{one}' AS {one}" for one in ("name", "campaign_type", "channel", "parent_id"))
    days = ", ".join(f"(attributes->>'{one}')::date AS {one}" for one in ("start_date", "end_date"))
    return f"""
        SELECT campaign_id, {texts}, {days}, (attributes->>'target_audience_size')::bigint AS target_audience_size
        FROM bi_campaigns
    """


def _events() -> str:
    """The log by what figures are made of: ids, labels, amounts, days; no words of anybody, no ids of contacts."""
    fields: dict[str, set[str]] = {}
    for entry in CATALOGUE.values():
        for name, kind in {**entry.required, **entry.optional}.items():
            fields.setdefault(name, set()).add(_form(name, kind))
    known = ", ".join(f"('{name}', {newest_version(name)})" for name in CATALOGUE)
    columns = ", ".join(column for name, forms in fields.items() for column in _columns(name, forms))
    time = "timestamptz 'epoch' + e.micros * interval '1 microsecond'"
    return f"""
        SELECT e.position, e.recorded_at, e.type, {time} AS time, (({time}) AT TIME ZONE m.timezone)::date AS day,
            e.source, e.id, {columns}
        FROM bi_scope m JOIN events e ON e.ledger = m.ledger
        LEFT JOIN (VALUES {known}) AS known (type, version) ON known.type = e.type AND e.version <= known.version
    """


def _form(name: str, kind: Kind) -> str:
    """Return how a field is read; "" of one that is left out."""
    if kind in (MONEY, MONEY_ABOVE_0):
        return "money"
    if kind is DATE:
        return "date"
    if kind in _NUMBERS:
        return "number"
    if name in _LABELS or (kind is ID and name not in _IDS_OF_PERSONS):
        return "text"
    return ""


def _columns(name: str, forms: set[str]) -> Iterable[str]:
    """Yield the columns of a field; what is not as the catalogue has it, in data of versions to come, has none."""
    text, called = f"e.data->>'{name}'", f'"stated_{name}"' if name in ("source", "id") else f'"{name}"'
    if "money" in forms:
        for part, form in (("amount", "::numeric"), ("currency", "")):
            value = f"(e.data->'{name}'->>'{part}'){form}"
            yield f'CASE WHEN known.version > 0 THEN {value} END AS "{name}{"" if form else "_currency"}"'
    elif forms == {"number"}:
        yield f"CASE WHEN json_typeof(e.data->'{name}') = 'number' THEN ({text})::numeric END AS {called}"
    elif forms == {"date"}:
        yield f"CASE WHEN known.version > 0 THEN nullif({text}, '')::date END AS {called}"
    elif forms == {"text"}:
        yield f"{text} AS {called}"
