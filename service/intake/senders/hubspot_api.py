"""HubSpot's API: a record read back, with the history of its properties and what it is associated with.

GET /crm/v3/objects/{objectType}/{id} with the token of a private app (HubSpot's documentation, "CRM API | Objects"):
`properties` has what stands now, `propertiesWithHistory` the latest values of each property (20, of contacts 45) with
their times, `associations` the first 100 records of each sort asked for. What is deleted is 404; 429 is the limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from service.domain.calendar import parse_instant
from service.intake.senders import crm
from service.intake.senders.contract import (
    Fetched,
    Ignored,
    MalformedError,
    Source,
    Statement,
    UnavailableError,
    Wanted,
)
from service.intake.senders.fields import dig, identifier, instant, json_of, list_of, object_of

TYPES = {
    "0-1": "contact", "0-2": "company", "0-3": "deal", "0-5": "ticket", "0-7": "product", "0-8": "line_item",
    "0-14": "quote", "0-47": "meeting", "0-48": "call", "0-49": "email", "0-53": "invoice", "0-101": "commerce_payment",
    "0-123": "order", "0-136": "lead",
}  # fmt: skip
_IDS = {name: identity for identity, name in TYPES.items()}


def url(record: str, source: Source) -> str:
    """Return where a record is read back."""
    sort, _, identity = record.partition(":")
    name = next(name for name, one in source.mapping["objects"].items() if one == sort)
    properties = ",".join(sorted(crm.mapped(source.mapping, sort)))
    query = {"properties": properties, "propertiesWithHistory": properties}
    if associations := source.mapping["associations"].get(sort):
        query["associations"] = associations
    base = source.mapping["api_url"].rstrip("/")
    return f"{base}/crm/v3/objects/{quote(_IDS.get(name, name))}/{quote(identity, safe='')}?{urlencode(query)}"


def stages(at: str, source: Source) -> Wanted:
    """Return where the stages of deals are read back."""
    url = f"{source.mapping['api_url'].rstrip('/')}/crm/v3/pipelines/deals"
    return Wanted("stages:deals", f"stages/{at}", at, "", "snapshot", url, many=True)


def _stages(wanted: Wanted, pipelines: list[Any]) -> Iterator[Statement | Ignored]:
    """Yield what each stage of each pipeline is; its id is what deals name."""
    for one in pipelines:
        for stage in list_of(dig(one, "stages") or [], "stages"):
            about = object_of(stage, "stage")
            identity, at = identifier(about.get("id"), "stage id"), instant(about.get("updatedAt"), "updatedAt")
            properties = {**about, "probability": dig(about, "metadata.probability")}
            stated = {name: properties.get(name) for name in ("id", "displayOrder", "probability")}
            fields = {"properties": stated, "history": {}, "links": {}}
            yield Statement(f"stage:{identity}", wanted.key, at or wanted.at, "", wanted.verb, fields)


async def fetch(wanted: Wanted, source: Source, client: httpx.AsyncClient) -> Fetched:
    """Read a record back: its properties with their history, and what it is associated with; or the stages of deals."""
    token = source.credentials.get("token", "")
    what = "the stages of deals" if wanted.many else wanted.record
    answer = await client.get(wanted.url, headers={"Authorization": f"Bearer {token}"})
    if answer.status_code == httpx.codes.NOT_FOUND:
        return Ignored(f"{what} is no longer there to be read back")
    if wanted.many and answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return Ignored("the stages of deals cannot be read: give the token the scope crm.objects.deals.read")
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise UnavailableError(f"HubSpot refuses the token ({answer.status_code}): check it and its scopes")
    if not answer.is_success:
        raise UnavailableError(f"HubSpot answered {answer.status_code} when {what} was read back")
    if wanted.many:
        return list(_stages(wanted, list_of(dig(json_of(answer.content), "results"), "results")))
    found = object_of(json_of(answer.content), "record")
    fields = {"properties": object_of(found.get("properties") or {}, "properties")}
    history = object_of(found.get("propertiesWithHistory") or {}, "propertiesWithHistory")
    fields["history"] = {name: [_entry(one) for one in list_of(several, name)] for name, several in history.items()}
    fields["links"] = dict.fromkeys(_links(found, source), True)
    updated = instant(found.get("updatedAt"), "updatedAt") or wanted.at
    return Statement(*wanted[:2], max(updated, wanted.at, key=parse_instant), "", wanted.verb, fields)


def _entry(value: Any) -> list[Any]:
    at = instant(dig(value, "timestamp"), "timestamp")
    if at is None:
        raise MalformedError("propertiesWithHistory: expected a timestamp, got nothing")
    return [at, dig(value, "value")]


def _links(found: Mapping[str, Any], source: Source) -> Iterator[str]:
    for name, several in object_of(found.get("associations") or {}, "associations").items():
        sort = source.mapping["objects"].get(TYPES.get(name, name.removesuffix("s")))
        for one in list_of(dig(several, "results") or [], name) if sort else []:
            identity = identifier(dig(one, "id"), f"{name} id")
            yield crm.link(sort, identity)
            if sort == "lead":
                yield crm.link("contact", identity)
