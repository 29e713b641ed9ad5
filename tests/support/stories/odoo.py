"""Odoo three times: its rules send all fields; they send none, and records are read back by JSON-2; the same by JSON-RPC."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.stories import Message, Story

_SAMPLES = Path(__file__).parents[3] / "docs/senders/samples/odoo"
_KEY, _DATABASE, _USER = "0d2f7ac9e1b34c5d8a6f", "northwind", "ledger@northwind.example"


def sample(which: str, /, **changed: Any) -> dict[str, Any]:
    """Return a sample with some fields changed."""
    whole: dict[str, Any] = json.loads((_SAMPLES / f"{which}.json").read_text("utf-8"))
    return whole | changed


def _told(which: str, /, **changed: Any) -> Message:
    body = sample(which, **changed)
    body["_id"] = body["id"]
    return Message(json.dumps(body, sort_keys=True).encode())


_ROI = {
    "actual_cost": "10000.00", "booked_revenue": "75000.00", "invoiced_revenue": "65000.00", "credited": "10000.00",
    "roi": {"booked": 6.5, "invoiced": 5.5},
}  # fmt: skip

SENT = Story(
    kind="odoo",
    messages=[
        _told("campaign"),
        _told("vendor-bill", state="draft", amount_untaxed=9000.0, write_date="2026-03-01 09:00:00.500000"),
        _told("vendor-bill"),
        # 2,000.00 came back from the supplier; a bill of another campaign was cancelled; one is none of marketing's.
        _told("vendor-bill", id=881, move_type="in_refund", reversed_entry_id=880, amount_untaxed=2000.0, date="2026-03-20",
              invoice_date="2026-03-20", create_date="2026-03-20 09:00:00", write_date="2026-03-20 09:01:00"),
        _told("vendor-bill", id=882, amount_untaxed=500.0, date="2026-03-03", write_date="2026-03-03 09:02:00"),
        _told("vendor-bill", id=882, amount_untaxed=500.0, date="2026-03-03", write_date="2026-03-04 09:02:00", state="cancel"),
        _told("vendor-bill", id=883, campaign_id=False, amount_untaxed=77.0),
        _told("lead"),
        _told("lead", write_date="2026-03-05 09:00:00.100000", type="opportunity", date_conversion="2026-03-05 09:00:00",
              partner_id=71, expected_revenue=60000.0, probability=30.0, stage_id=2),
        # Confirmed at 80,000.00, lowered to 75,000.00 on the confirmed order.
        _told("quotation-sent"),
        _told("order-confirmed", amount_untaxed=80000.0, write_date="2026-04-01 10:00:00.050000"),
        _told("order-confirmed", write_date="2026-04-02 08:00:00.000000"),
        _told("opportunity-won"),
        # Another quotation was never confirmed; another order was confirmed, and cancelled.
        _told("quotation-sent", id=13, name="S00013", write_date="2026-03-21 10:00:00.000000"),
        _told("quotation-sent", id=13, name="S00013", state="cancel", write_date="2026-03-22 10:00:00.000000"),
        _told("order-confirmed", id=14, name="S00014", opportunity_id=False, write_date="2026-04-03 10:00:00.000000"),
        _told("order-confirmed", id=14, name="S00014", opportunity_id=False, state="cancel",
              write_date="2026-04-04 10:00:00.000000"),
        _told("invoice-posted", state="draft", name="/", write_date="2026-04-20 08:00:00.100000"),
        _told("invoice-posted", amount_untaxed=7500.0, write_date="2026-04-20 08:05:00.000000"),
        _told("invoice-posted", state="draft", amount_untaxed=7500.0, write_date="2026-04-20 08:09:00.000000"),
        _told("invoice-posted"),
        _told("invoice-posted", id=902, amount_untaxed=1.0, write_date="2026-04-21 08:00:00.000000"),
        _told("invoice-posted", id=902, amount_untaxed=1.0, state="cancel", write_date="2026-04-21 09:00:00.000000"),
        _told("credit-note-posted"),
        Message(json.dumps({"_action": "Ledger: contact(#1)", "_id": 9, "_model": "res.partner", "id": 9}).encode()),
        # The lead that was merged into this one.
        _told("lead", id=43, write_date="2026-03-04 09:00:00.000000"),
        _told("lead", id=43, _action="Ledger: deleted(#709)", write_date="2026-03-04 09:30:00.000000"),
    ],
    campaign_id="spring-fair",
    roi=_ROI,
    mapping={
        "timezone": "Europe/Berlin", "currencies": {"1": "EUR"}, "campaigns": {"3": "spring-fair"},
        "deleted_leads": "withdraw",
    },
    secrets=[],
    path_secret=True,
)  # fmt: skip


def _named(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as `search_read` gives it: links as [id, name], times without fractions."""
    names = {"currency_id": "EUR", "company_currency": "EUR", "campaign_id": "Spring Fair", "source_id": "Newsletter"}
    named = {
        name: [value, names.get(name, f"{name} {value}")]
        if (name.endswith("_id") or name == "company_currency") and isinstance(value, int) and value is not False
        else value
        for name, value in record.items() if not name.startswith("_")
    }  # fmt: skip
    return named | {"write_date": record["write_date"][:19]}


RECORDS = {
    ("utm.campaign", 3): sample("campaign"), ("account.move", 880): sample("vendor-bill", amount_untaxed=10000.0),
    ("crm.lead", 42): sample("opportunity-won", active=False, won_status="won"), ("sale.order", 12): sample("order-confirmed"),
    ("account.move", 901): sample("invoice-posted"), ("account.move", 905): sample("credit-note-posted"),
}  # fmt: skip


def _called(model: str, method: str, asked: Mapping[str, Any]) -> Any:
    """Answer a call as the models do: only known fields may be asked for, archived records only on request."""
    known = {name for (of, _), record in RECORDS.items() if of == model for name in record if not name.startswith("_")}
    if method == "fields_get":
        return {name: {"type": "char"} for name in asked["allfields"] if name in known}
    ((field, operator, number),) = asked["domain"]
    assert (field, operator) == ("id", "=")
    if unknown := set(asked["fields"]) - known:
        return {"name": "builtins.ValueError", "message": f"Invalid field {min(unknown)!r} on {model!r}"}
    record = RECORDS.get((model, number))
    if record is None or (record.get("active") is False and asked.get("context", {}).get("active_test") is not False):
        return []
    return [{name: value for name, value in _named(record).items() if name in {*asked["fields"], "id"}}]


def json2(method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
    """Answer as /json/2 does."""
    if headers.get("authorization") != f"bearer {_KEY}" or headers.get("x-odoo-database") != _DATABASE:
        return 401, {"name": "werkzeug.exceptions.Unauthorized", "message": "Invalid apikey"}
    parts = path.strip("/").split("/")
    if method != "POST" or parts[:2] != ["json", "2"]:
        return 404, {"name": "werkzeug.exceptions.NotFound", "message": "404"}
    found = _called(parts[2], parts[3], json.loads(body))
    return (422 if isinstance(found, dict) and "message" in found else 200), found


def jsonrpc(method: str, path: str, _: Mapping[str, str], body: bytes) -> tuple[int, Any]:
    """Answer as /jsonrpc does: always 200, with an error inside."""
    if (method, path) != ("POST", "/jsonrpc"):
        return 404, {}
    asked = json.loads(body)["params"]
    given = asked["args"]
    if asked["service"] == "common":
        return 200, {"jsonrpc": "2.0", "id": 1, "result": 7 if given == [_DATABASE, _USER, _KEY] else False}
    if given[:3] != [_DATABASE, 7, _KEY]:
        return 200, {
            "jsonrpc": "2.0",
            "error": {"data": {"name": "odoo.exceptions.AccessDenied", "message": "Access Denied"}},
        }
    _, _, _, model, name, positional, keywords = given
    found = _called(model, name, {**keywords, **({"domain": positional[0]} if positional else {})})
    if isinstance(found, dict) and "message" in found:
        return 200, {"jsonrpc": "2.0", "error": {"data": found}}
    return 200, {"jsonrpc": "2.0", "id": 1, "result": found}


def _thin(model: str, identity: int) -> Message:
    return Message(json.dumps({"_action": "Ledger(#7)", "_id": identity, "_model": model}).encode())


JSON_2 = Story(
    kind="odoo",
    messages=[*(_thin(*one) for one in RECORDS), _thin("crm.lead", 99), _thin("sale.order", 12)],
    campaign_id="Spring Fair",
    roi=_ROI,
    mapping={"url": "{api}/", "database": _DATABASE, "timezone": "Europe/Berlin"},
    secrets=[],
    path_secret=True,
    credentials={"api_key": _KEY},
    api=json2,
)
JSON_RPC = JSON_2._replace(
    mapping={"url": "{api}", "api": "json-rpc", "database": _DATABASE, "campaigns": {"Spring Fair": "spring-fair"}},
    campaign_id="spring-fair",
    credentials={"api_key": _KEY, "user": _USER},
    api=jsonrpc,
)
STORIES = (SENT, JSON_2, JSON_RPC)
