"""What leads, opportunities and campaigns of Odoo become. A record is lead and opportunity in one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from service.intake.senders.contract import Draft, Source, Waiting
from service.intake.senders.fields import minor, number, stated
from service.intake.senders.odoo.records import Money, Version, campaign_id, made_at

Parts = Iterator[Draft | Waiting]


def campaign(identity: str, seen: Sequence[Version], source: Source) -> Parts:
    """A UTM campaign is registered when it is made; where records are read back, it is known by its title."""
    last = seen[-1]
    name = last.text("title") or last.text("name")
    if name is None:
        yield Waiting("no message has stated the campaign's title or name")
        return
    # Without names of links, leads know their campaign by its number alone.
    known = campaign_id(identity, name if source.credentials.get("api_key") else identity, source) or identity
    yield Draft("registered", "campaign.registered", made_at(seen), {"campaign_id": known, "name": name})


def lead(identity: str, seen: Sequence[Version], source: Source) -> Parts:
    """A lead is captured when its record is made; once it is an opportunity, that is opened as well."""
    last, at = seen[-1], made_at(seen)
    origin, medium = last.name("source_id"), last.name("medium_id")
    yield Draft("captured", "lead.captured", at, stated(
        lead_id=identity, campaign_id=last.campaign(source), source=origin, medium=medium, owner_id=_first(seen, "user_id"),
        account_id=last.number("partner_id"), utm=stated(source=origin, medium=medium) or None,
    ))  # fmt: skip
    opened = _opened(seen)
    yield from _qualified(identity, seen, opened, source)
    if opened:
        yield from _opportunity(identity, seen, opened, source)
    else:
        yield from _turns(seen, "lead", {"lost": "disqualified", None: "reopened"}, {"lead_id": identity})


def _opened(seen: Sequence[Version]) -> str | None:
    """Return when a record became an opportunity: by conversion, or from the beginning."""
    since = next((one for one in seen if one.text("type") == "opportunity"), None)
    if since is None:
        return None
    converted = seen[-1].instant("date_conversion")
    return converted or (made_at(seen) if since is seen[0] else since.at)


def _qualified(identity: str, seen: Sequence[Version], opened: str | None, source: Source) -> Parts:
    stages, converted = source.mapping["qualified_stages"], seen[-1].instant("date_conversion")
    was_lead = converted is not None or seen[0].text("type") == "lead"
    staged = next((one.at for one in seen if {one.name("stage_id"), one.number("stage_id")} & {*stages}), None)
    by_conversion = opened if was_lead and source.mapping["conversion_qualifies"] else None
    if at := min(filter(None, (by_conversion, staged)), default=None):
        yield Draft(
            "qualified", "lead.qualified", at, stated(lead_id=identity, level="sql", owner_id=_first(seen, "user_id"))
        )


def _opportunity(identity: str, seen: Sequence[Version], opened: str, source: Source) -> Parts:
    deals = [one for one in seen if one.text("type") in ("opportunity", None)]
    first, last = deals[0], deals[-1]
    value, stage, chance = _estimate(first, source), first.name("stage_id"), _share(first)
    yield Draft("opened", "opportunity.opened", opened, stated(
        opportunity_id=identity, lead_ids=[identity], account_id=last.number("partner_id"), estimated_value=value,
        campaign_id=last.campaign(source), probability=chance, stage=stage, team=last.name("team_id"),
        expected_close=first.day("date_deadline", source), owner_id=_first(seen, "user_id"),
    ))  # fmt: skip
    for one in deals[1:]:
        if (now := one.name("stage_id")) and now != stage:
            yield Draft(
                f"stage/{one.at}", "opportunity.stage_changed", one.at, {"opportunity_id": identity, "stage": now}
            )
            stage = now
        worth = _estimate(one, source)
        if worth and (worth, _share(one)) != (value, chance):
            data = stated(opportunity_id=identity, estimated_value=worth, probability=_share(one))
            yield Draft(f"value/{one.at}", "opportunity.value_changed", one.at, data)
            value, chance = worth, _share(one)
    names = {"won": "won", "lost": "lost", None: "reopened"}
    yield from _turns(deals, "opportunity", names, {"opportunity_id": identity})


def _turns(
    seen: Sequence[Version], what: str, names: dict[str | None, str], data: dict[str, str]
) -> Iterator[Draft]:  # fmt: skip
    """Give an event wherever the outcome turns, at the time that the record itself names."""
    before = None
    for one in seen:
        now = _outcome(one) if _outcome(one) in names else None
        if now != before:
            at = (one.instant("date_closed") if now else None) or one.at
            reason = one.name("lost_reason_id") if now == "lost" else None
            yield Draft(f"{names[now]}/{one.at}", f"{what}.{names[now]}", at, stated(**data, reason=reason))
        before = now


def _outcome(one: Version) -> str | None:
    """Return won, lost, or None while a record is open."""
    said, archived = one.text("won_status"), one.record.get("active") is False
    if said:
        return said if said in ("won", "lost") else None
    chance = number(one.record.get("probability"), "probability")
    if archived:
        return None if chance else "lost"
    return "won" if chance == 100 else None  # noqa: PLR2004  per cent


def _estimate(one: Version, source: Source) -> Money | None:
    """Return the expected revenue; 0 is what Odoo writes where nobody has estimated it."""
    value = one.money("expected_revenue", source, "company_currency")
    return value if value and minor(value) else None


def _share(one: Version) -> Decimal | None:
    exact = number(one.record.get("probability"), "probability")
    return (exact / 100).normalize() if exact is not None and 0 <= exact <= 100 else None  # noqa: PLR2004  per cent


def _first(seen: Sequence[Version], field: str) -> str | None:
    return next((found for one in seen if (found := one.number(field))), None)
