"""Zoho CRM's API: a record read back; of a converted lead also which deal it has become."""

from __future__ import annotations

from urllib.parse import quote

import httpx

from service.domain.catalogue import shown
from service.intake.senders import crm, crm_events, oauth
from service.intake.senders.contract import (
    Fetched,
    Ignored,
    MalformedError,
    Source,
    Statement,
    UnavailableError,
    Wanted,
)
from service.intake.senders.fields import dig, instant, json_of, list_of, object_of
from service.intake.senders.zoho.records import deal_of, is_converted, kept

_GONE = "INVALID_DATA"


def url(module: str, identity: str, source: Source) -> str:
    """Return where a record is read back."""
    return f"{source.mapping['api_url'].rstrip('/')}/crm/v8/{quote(module, safe='')}/{quote(identity, safe='')}"


async def fetch(wanted: Wanted, source: Source, client: httpx.AsyncClient) -> Fetched:
    """Read a record back; a lead that has been converted is only there if one asks for converted ones."""
    sort, _, identity = wanted.record.partition(":")
    found = await _record(wanted.url, source, client)
    if found is None and sort == "lead":
        found = await _record(f"{wanted.url}?converted=true", source, client)
    if found is None:
        return Ignored(f"{wanted.record} is no longer there to be read back")
    modified = instant(found.get("Modified_Time"), "Modified_Time") or wanted.at
    converted = instant(found.get("Converted_Date_Time"), "Converted_Date_Time") if is_converted(found) else None
    at = converted or modified
    several = [Statement(wanted.record, wanted.key, at, "", wanted.verb, kept(found, sort, source))]
    if sort == "lead" and is_converted(found) and (deal := deal_of(found)):
        link = {crm.link("lead", identity): True}
        several.append(Statement(f"deal:{deal}", wanted.key, at, "", crm_events.UPDATED, link))
    return list(several)


async def _record(where: str, source: Source, client: httpx.AsyncClient) -> dict[str, object] | None:
    """Return a record; None if it is not there. A token that is refused is had anew, once."""
    for last in (False, True):
        answer = await client.get(where, headers=await _token(source, client))
        if answer.status_code != httpx.codes.UNAUTHORIZED or last:
            break
        oauth.forget(source)
    code = answer.status_code
    if code in (httpx.codes.NO_CONTENT, httpx.codes.NOT_FOUND):
        return None
    if code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise UnavailableError(
            f"Zoho refuses the token ({code}): check the credentials and the scope ZohoCRM.modules.READ"
        )
    if code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
        raise UnavailableError(f"Zoho answered {code}")
    body = json_of(answer.content)
    if not answer.is_success:
        why = str(dig(body, "code") or "")
        if why == _GONE:
            return None
        raise MalformedError(
            f"Zoho answered {code} {shown(why)} to {where.partition('?')[0]}: check api_url and objects"
        )
    rows = list_of(dig(body, "data"), "data")
    return object_of(rows[0], "data") if rows else None


async def _token(source: Source, client: httpx.AsyncClient) -> dict[str, str]:
    where = f"{source.mapping['accounts_url'].rstrip('/')}/oauth/v2/token"
    refresh = {"grant_type": "refresh_token", "refresh_token": source.credentials.get("refresh_token", "")}
    token = (await oauth.bearer(client, source, where, **refresh))["Authorization"].removeprefix("Bearer ")
    return {"Authorization": f"Zoho-oauthtoken {token}"}
