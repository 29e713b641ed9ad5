"""Registering the web hook, its steps and their images in Dataverse, by its Web API: minutes instead of forty dialogs.

Facts, from Microsoft Learn, the table references of serviceendpoint, sdkmessageprocessingstep, sdkmessageprocessingstepimage and
sdkmessagefilter: a web hook is a service endpoint with `contract` 8; `authtype` 4 sends `authvalue` as the query's `code`. A step
ties a message of a table (a message filter) to it; stage 40 is after the operation, mode 1 asynchronous, deployment 0 the server.
Image type 1 is taken after; that of an Update is one of its `Target`. `Prefer: return=representation` gives what was made.

What is there already, by its name, stays; so registering again completes what is missing, and gives images new columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from service.intake.senders.contract import MalformedError
from service.intake.senders.dataverse.mapping import COMMON, MONEY, OPTIONAL
from service.intake.senders.fields import dig, json_of, object_of

# Which messages of which tables state something; some fields of every table come with an Update's image.
STEPS: dict[str, tuple[str, ...]] = {
    "campaign": ("Create", "Update", "Delete"),
    "campaignactivity": ("Create", "Update", "Delete"),
    "lead": ("Create", "Update", "QualifyLead", "Merge"),
    "opportunity": ("Create", "Update", "Win", "Lose"),
    "quote": ("Create", "Update", "Win", "Close"),
    "salesorder": ("Create", "Update", "Cancel", "Fulfill", "Delete"),
    "invoice": ("Create", "Update", "Delete"),
    **dict.fromkeys(("phonecall", "email", "appointment", "task"), ("Create", "Update", "Delete")),
    "incident": ("Create", "Update", "Close", "Delete"),
    **dict.fromkeys(("campaignresponse", *OPTIONAL, "connection"), ("Create", "Update", "Delete")),
    "account": ("Merge",),
    "contact": ("Merge",),
}
_ALWAYS = ("modifiedon", "versionnumber")
_PRICED = (*MONEY, "lead")
_OF_SOME = {
    "merged": ("lead",),
    "transactioncurrencyid": _PRICED,
    "exchangerate": _PRICED,
}  # columns that only these tables have
_WEBHOOK, _KEY_IN_QUERY = 8, 4
_AFTER, _ASYNCHRONOUS, _SERVER = 40, 1, 0
_IMAGE_AFTER = 1
API = "/api/data/v9.2/"


class Step(NamedTuple):
    """A step to be registered: the message of a table, and the columns of its image (none without one)."""

    table: str
    message: str
    columns: tuple[str, ...] = ()


def planned(mapping: Mapping[str, Any]) -> list[Step]:
    """Return the steps that a mapping needs: of tables that not every organisation has, where it names their columns."""
    return [
        Step(table, message, columns_of(table, mapping) if message == "Update" else ())
        for table, messages in STEPS.items()
        if table not in OPTIONAL or mapping["columns"][table]["campaign"]
        for message in messages
    ]


def columns_of(table: str, mapping: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns of a table that a mapping reads, as an image has to list them."""
    common = [one for one in COMMON if table in _OF_SOME.get(one, (table,))]
    mapped = (one for one in mapping["columns"].get(table, {}).values() if one)
    return tuple(dict.fromkeys([*mapped, *common, *_ALWAYS]))


class WebApi:
    """Dataverse's Web API with the token of somebody who may register steps (a system administrator or customizer)."""

    def __init__(self, environment: str, token: str) -> None:
        """`environment` is the URL of the organisation, such as https://contoso.crm4.dynamics.com."""
        headers = {"authorization": f"Bearer {token}", "accept": "application/json", "odata-version": "4.0"}
        self._http = httpx.Client(base_url=environment.rstrip("/") + API, headers=headers, timeout=60)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def rows(self, table: str, condition: str, select: str, expand: str = "") -> list[dict[str, Any]]:
        """Return the rows of a table."""
        more = f"&$expand={quote(expand, safe='(),=$')}" if expand else ""
        found = self._answer("GET", f"{table}?$select={select}&$filter={quote(condition)}{more}")
        return [object_of(one, table) for one in found.get("value") or []]

    def make(self, table: str, row: Mapping[str, Any], key: str) -> str:
        """Make a row and return its id."""
        made = self._answer("POST", table, row)
        return str(dig(made, key))

    def change(self, table: str, identity: str, row: Mapping[str, Any]) -> None:
        """Change a row."""
        self._answer("PATCH", f"{table}({identity})", row)

    def _answer(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        prefer = {"prefer": "return=representation"}
        answer = self._http.request(method, path, json=body, headers=prefer if body is not None else {})
        if not answer.is_success:
            try:
                why = str(dig(json_of(answer.content), "error.message") or "")[:300]
            except MalformedError:
                why = ""
            raise LookupError(f"Dataverse answered {answer.status_code} to {method} {path.partition('?')[0]}: {why}")
        return object_of(json_of(answer.content), "the answer of Dataverse") if answer.content else {}


def register(api: WebApi, name: str, url: str, secret: str, mapping: Mapping[str, Any]) -> Iterator[str]:
    """Register a web hook of that name with all of its steps; yield a line for each that is made, kept, or not possible."""
    hook = {"url": url, "authtype": _KEY_IN_QUERY, "authvalue": secret}
    found = api.rows("serviceendpoints", f"name eq '{name}'", "serviceendpointid")
    if found:
        endpoint = str(found[0]["serviceendpointid"])
        api.change("serviceendpoints", endpoint, hook)
        yield f"{name}: kept, with this URL and key"
    else:
        made = {"name": name, "contract": _WEBHOOK, **hook}
        endpoint = api.make("serviceendpoints", made, "serviceendpointid")
        yield f"{name}: made"
    there = {
        str(one["name"]): str(one["sdkmessageprocessingstepid"])
        for one in api.rows(
            "sdkmessageprocessingsteps", f"_eventhandler_value eq {endpoint}", "name,sdkmessageprocessingstepid"
        )
    }
    filters = {table: _filters(api, table) for table in STEPS}
    for step in planned(mapping):
        title = f"{name}: {step.message} of {step.table}"
        message = filters[step.table].get(step.message)
        if message is None:
            yield f"{title}: not possible, this organisation has no such message"
            continue
        identity = there.get(title) or api.make("sdkmessageprocessingsteps", {
            "name": title, "stage": _AFTER, "mode": _ASYNCHRONOUS, "rank": 1, "supporteddeployment": _SERVER,
            "asyncautodelete": True, "eventhandler_serviceendpoint@odata.bind": f"/serviceendpoints({endpoint})",
            "sdkmessageid@odata.bind": f"/sdkmessages({message[0]})",
            "sdkmessagefilterid@odata.bind": f"/sdkmessagefilters({message[1]})",
        }, "sdkmessageprocessingstepid")  # fmt: skip
        if step.columns:
            _image(api, identity, step.columns)
        yield f"{title}: {'kept' if title in there else 'made'}"


def _filters(api: WebApi, table: str) -> dict[str, tuple[str, str]]:
    """Return, by message, the ids of the message and of its filter for a table."""
    found = api.rows(
        "sdkmessagefilters", f"primaryobjecttypecode eq '{table}'", "sdkmessagefilterid",
        "sdkmessageid($select=name,sdkmessageid)",
    )  # fmt: skip
    return {
        str(dig(one, "sdkmessageid.name")): (str(dig(one, "sdkmessageid.sdkmessageid")), str(one["sdkmessagefilterid"]))
        for one in found
    }


def _image(api: WebApi, step: str, columns: tuple[str, ...]) -> None:
    image = {"attributes": ",".join(columns)}
    found = api.rows(
        "sdkmessageprocessingstepimages", f"_sdkmessageprocessingstepid_value eq {step} and entityalias eq 'after'",
        "sdkmessageprocessingstepimageid",
    )  # fmt: skip
    if found:
        api.change("sdkmessageprocessingstepimages", str(found[0]["sdkmessageprocessingstepimageid"]), image)
        return
    api.make("sdkmessageprocessingstepimages", {
        **image, "name": "after", "entityalias": "after", "imagetype": _IMAGE_AFTER, "messagepropertyname": "Target",
        "sdkmessageprocessingstepid@odata.bind": f"/sdkmessageprocessingsteps({step})",
    }, "sdkmessageprocessingstepimageid")  # fmt: skip
