"""Reports by mail and alerts, as a YAML file says: a real SMTP server and a real receiver of webhooks, both on this machine."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import io
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import date
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import openpyxl
import pytest
import yaml
from aiosmtpd.controller import Controller

from service import bootstrap
from service.bootstrap import Service
from service.notices import mail, plan, sending, webhook
from service.notices.sending import Outcome
from service.projections.generations import verify
from service.projections.generations.verify import Finding
from service.settings import Settings
from service.store import notices
from tests.conftest import Api
from tests.support.commands import Run, call, good, refused
from tests.support.ports import free_port
from tests.support.senders_api import HOSTS, serving
from tests.support.sending import cost, event, invoice, money

SECRET = "whsec_" + base64.b64encode(b"a secret of 24 bytes, ok").decode()
TO = ["cmo@example.com"]


class Post:
    """What mailboxes have got; `answer` is what the server says to the next ones."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []
        self.answers: list[str] = []

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802  as aiosmtpd calls it
        if self.answers:
            return self.answers.pop(0)
        self.got.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"


class Hook(NamedTuple):
    """What a receiver of webhooks has got, and what it answers to the next ones."""

    url: str
    got: list[tuple[dict[str, str], dict[str, Any]]]
    answers: list[int]


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> Iterator[Post]:
    monkeypatch.setattr(mail, "_PAUSES", (0.01, 0.01))
    found = Post()
    server = Controller(found, hostname="127.0.0.1", port=free_port())
    server.start()
    monkeypatch.setenv("CAMPAIGN_LEDGER_SMTP_PORT", str(server.port))
    yield found
    server.stop()


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    monkeypatch.setattr(webhook, "PAUSES", (0.01, 0.01))
    monkeypatch.setattr(webhook.post, "__defaults__", ((0.01, 0.01),))
    got: list[tuple[dict[str, str], dict[str, Any]]] = []
    answers: list[int] = []

    def answer(_: str, __: str, headers: Any, body: bytes) -> tuple[int, Any]:
        status = answers.pop(0) if answers else 204
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(b"a secret of 24 bytes, ok", signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert abs(time.time() - int(headers["webhook-timestamp"])) < 60
        got.append((dict(headers), json.loads(body)))
        return status, b""

    with serving(answer) as url:
        yield Hook(url, got, answers)


@pytest.fixture
async def service(dsn: str, post: Post) -> AsyncIterator[Service]:
    """A service beside the running one, whose mails go to `post`."""
    assert post.got == []
    settings = Settings(
        database_url=dsn, smtp_host="127.0.0.1", smtp_security="none", mail_from="Ledger <ledger@example.com>",
        public_url="https://ledger.example.com/", private_hosts=HOSTS,
    )  # fmt: skip
    async with bootstrap.beside(settings, dsn) as found:
        yield found


def a_plan(tmp_path: Path, api: Api, **parts: Any) -> plan.Plan:
    file = tmp_path / "notices.yaml"
    file.write_text(yaml.safe_dump({"ledger": api.ledger.name, **parts}), encoding="utf-8")
    return plan.read(file)


async def alerts(service: Service, api: Api, planned: plan.Plan) -> list[Outcome]:
    async with aclosing(sending.send_alerts(service, api.ledger, planned)) as found:  # type: ignore[type-var]
        return [one async for one in found]


async def mailed(service: Service, api: Api, planned: plan.Plan, *, again: bool = False) -> list[Outcome]:
    async with aclosing(sending.send_reports(service, api.ledger, planned, again=again)) as found:  # type: ignore[type-var]
        return [one async for one in found]


def say(api: Api, *events: dict[str, Any]) -> None:
    api.post(*events)
    api.read("/v1/roi")


def texts(message: EmailMessage) -> tuple[str, str]:
    """Return a message as plain text, and as HTML."""
    plain, rich = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert rich is not None
    return str(plain.get_content()), str(rich.get_content())


def test_a_report_is_mailed_by_the_command_once_a_month(api: Api, post: Post, dsn: str, tmp_path: Path) -> None:
    say(
        api, cost("k", "fair", "1000.00"), invoice("i", "2500.50", campaign_id="fair", account_id="a"),
        event("campaign.registered", campaign_id="fair", name="Fair <2026>"),
    )  # fmt: skip
    say(api, event("lead.captured", lead_id="l", campaign_id="fair"))
    mine = {"name": "Campaigns", "every": "month", "to": TO, "report": "roi", "figures": ["actual_cost", "roi.booked"]}
    a_plan(tmp_path, api, reports=[{**mine, "parameters": {"sort": "-actual_cost"}}])
    smtp = {"SMTP_HOST": "127.0.0.1", "SMTP_SECURITY": "none", "PUBLIC_URL": "https://ledger.example.com"}
    settings = {f"CAMPAIGN_LEDGER_{name}": value for name, value in {**smtp, "DATABASE_URL": dsn}.items()}
    settings["CAMPAIGN_LEDGER_SMTP_PORT"] = os.environ["CAMPAIGN_LEDGER_SMTP_PORT"]
    assert "cmo@example.com" in good(call("reports", "send", str(tmp_path / "notices.yaml"), **settings))
    (message,) = post.got
    assert (message["Subject"], message["To"]) == ("Campaigns", "cmo@example.com")
    plain, rich = texts(message)
    assert "Fair <2026>" in plain
    assert "1,000.00" in plain
    assert "Fair &lt;2026&gt;" in rich
    assert "<svg" in rich
    assert "https://ledger.example.com/ledgers/" in rich
    (book,) = message.iter_attachments()
    sheet = openpyxl.load_workbook(io.BytesIO(book.get_content()))["roi"]
    heads, row = [[cell.value for cell in line] for line in list(sheet.iter_rows())[:2]]
    assert dict(zip(heads, row, strict=True))["actual_cost"] == 1000
    assert str(book.get_filename()).startswith("roi_")


async def test_a_mail_that_was_not_taken_is_sent_in_the_next_run(
    api: Api, service: Service, post: Post, tmp_path: Path
) -> None:  # fmt: skip
    planned = a_plan(
        tmp_path, api, reports=[{"name": "R", "every": "day", "to": TO, "report": "calls", "window": "last month"}]
    )
    post.answers[:] = ["550 no such person"]
    (outcome,) = await mailed(service, api, planned)
    assert "no such person" in outcome.failed
    post.answers[:] = ["451 later"]  # which is tried again at once
    (outcome,) = await mailed(service, api, planned)
    assert (outcome.failed, len(post.got)) == ("", 1)
    assert await mailed(service, api, planned) == []
    assert len(await mailed(service, api, planned, again=True)) == 1


async def test_an_alert_is_told_once_per_change_to_each_receiver(
    api: Api, service: Service, post: Post, hook: Hook, tmp_path: Path
) -> None:  # fmt: skip
    budget = event("campaign.budget_set", campaign_id="fair", amount=money("1000.00"))
    say(api, budget, event("campaign.registered", campaign_id="fair", name="Fair\r\nBcc: x@example.com"))
    told = {"to": TO, "webhooks": ["ops"]}
    planned = a_plan(
        tmp_path, api, webhooks={"ops": {"url": f"{hook.url}/alerts", "secret": SECRET}},
        alerts=[{"name": "Budget", "kind": "budget_spent", "share": 0.9, **told}],
    )  # fmt: skip
    assert await alerts(service, api, planned) == []  # nothing has changed
    say(api, cost("k1", "fair", "899.99"))
    assert await alerts(service, api, planned) == []
    say(api, cost("k2", "fair", "0.01"))
    hook.answers[:] = [503, 500, 503]  # until the next run
    by_mail, by_hook = await alerts(service, api, planned)
    assert (by_mail.failed, by_hook.failed) == (
        "",
        f"{hook.url.split('/')[2].split(':')[0]} did not take a message: it answered 503",
    )
    ((headers, payload),) = [one for one in hook.got if not hook.answers][-1:]
    (again,) = await alerts(service, api, planned)
    assert (again.receiver, again.failed) == ("ops", "")
    assert {one[0]["webhook-id"] for one in hook.got} == {
        headers["webhook-id"]
    }  # the same message, however often it is sent
    assert payload["type"] == "alert.on"
    data = payload["data"]
    assert (data["ledger"], data["alert"], data["kind"], data["subject"]) == (
        api.ledger.name,
        "Budget",
        "budget_spent",
        "fair",
    )
    assert "900.00 of 1000.00 EUR (90.0%)" in data["words"]
    assert data["link"] == f"https://ledger.example.com/ledgers/{api.ledger.name}/campaign?campaign_id=fair"
    assert await alerts(service, api, planned) == []
    (message,) = post.got
    assert message["Subject"] == f"Alert: Budget ({api.ledger.name})"
    assert message["Bcc"] is None
    assert data["link"] in texts(message)[0]
    say(api, event("campaign.cost_reversed", cost_entry_id="k2"))
    assert {one.receiver for one in await alerts(service, api, planned)} == {"mail", "ops"}
    assert hook.got[-1][1]["type"] == "alert.off"
    assert hook.got[-1][0]["webhook-id"] != headers["webhook-id"]
    assert post.got[-1]["Subject"].startswith("Over: Budget")


async def test_each_kind_of_alert_sees_what_it_is_about(
    api: Api, service: Service, hook: Hook, tmp_path: Path, dsn: str
) -> None:  # fmt: skip
    say(
        api, cost("k", "fair", "1000.00"), invoice("i", "900.00", account_id="a"),
        event("sla.defined", "2020-01-01", sla_id="S", from_event="lead.captured", to_event="lead.accepted", within_hours=1),
        event("lead.captured", lead_id="late", campaign_id="fair"),
    )  # fmt: skip
    kinds: list[dict[str, Any]] = [
        {"kind": "roi_below", "below": 0, "figure": "roi.invoiced"}, {"kind": "roi_below", "below": -0.5, "each": True},
        {"kind": "roi_below", "below": 5, "window": "last month"},  # nothing was spent then
        {"kind": "sla_overdue"}, {"kind": "source_silent"}, {"kind": "proof_failed", "days": 30}, {"kind": "proof_failed"},
    ]  # fmt: skip
    told = [{**one, "name": f"{number} {one['kind']}", "webhooks": ["ops"]} for number, one in enumerate(kinds)]
    planned = a_plan(tmp_path, api, webhooks={"ops": {"url": hook.url, "secret": SECRET}}, alerts=told)
    seen = {one.name: one.words for one in await alerts(service, api, planned)}
    assert seen == {
        "0 roi_below": "roi.invoiced is -0.1, below 0.0",
        "1 roi_below": "roi.invoiced of fair is -1.0, below -0.5",  # an invoice names no campaign
        "3 sla_overdue": "1 clocks are overdue; the oldest: late (S)",
        "5 proof_failed": "nobody has proved it yet: `campaign-ledger verify` does",
    }  # fmt: skip
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        await verify.record(pool, api.ledger, [Finding("hash chain", False, "position 2 was changed")])
    for number in range(5):  # from so many arrivals on there is something usual
        api.post(cost(f"k{number}", "fair", "1.00"))
    seen, until = {}, time.monotonic() + 30
    while "4 source_silent" not in seen and time.monotonic() < until:
        await asyncio.sleep(1)
        seen |= {one.name: one.words for one in await alerts(service, api, planned)}
    assert seen.keys() == {"4 source_silent", "6 proof_failed"}
    assert "/test has been silent for 0.0 hours; usually it sends within" in seen["4 source_silent"]
    assert "failed" in seen["6 proof_failed"]
    say(api, cost("again", "fair", "1.00"))
    (over,) = await alerts(service, api, planned)
    assert over.words == "/test sends"


async def test_webhooks_go_to_public_addresses_only(api: Api, service: Service, tmp_path: Path, hook: Hook) -> None:
    say(api, cost("k", "fair", "1.00"))
    assert hook.got == []
    urls = ["http://127.0.0.1:1/", "http://169.254.169.254/latest", "http://[::1]/", "https://example.com:8443/"]
    for number, url in enumerate(urls):
        planned = a_plan(
            tmp_path, api, webhooks={"ops": {"url": url, "secret": SECRET}},
            alerts=[{"name": f"R{number}", "kind": "roi_below", "below": 1, "webhooks": ["ops"]}],
        )  # fmt: skip
        (outcome,) = await alerts(service, api, planned)
        assert "CAMPAIGN_LEDGER_PRIVATE_HOSTS" in outcome.failed, url


def test_the_example_of_the_docs_is_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_WEBHOOK_SECRET", SECRET)
    text = (Path(__file__).parents[2] / "docs/notices.md").read_text(encoding="utf-8")
    (tmp_path / "notices.yaml").write_text(text.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    found = plan.read(tmp_path / "notices.yaml")
    assert (len(found.reports), len(found.alerts), found.webhooks["ops"].key) == (1, 5, SECRET)
    assert found.reports[0].asked(date(2026, 3, 15))["from"] == "2026-02-01"
    assert plan.window("this quarter", date(2026, 3, 15)) == (date(2026, 1, 1), date(2026, 3, 16))
    assert plan.window("last week", date(2026, 3, 15)) == (date(2026, 3, 2), date(2026, 3, 9))


async def test_one_process_sends_at_a_time(api: Api, service: Service, run: Run, tmp_path: Path) -> None:
    a_plan(tmp_path, api, alerts=[{"name": "R", "kind": "proof_failed", "to": TO}])
    async with notices.turn(service.pool, api.ledger.ledger):
        assert "another process" in refused(
            await asyncio.to_thread(run, "alerts", "send", str(tmp_path / "notices.yaml"))
        )


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"nothing": 1}, "nothing: "), ({"reports": [{"name": "R", "report": "none", "to": TO}]}, "reports.0.report: "),
        ({"reports": [{"name": "R", "report": "roi"}]}, "addresses in `to`"),
        ({"reports": [{"name": "R", "report": "roi", "to": ["a@b.example\nBcc: c@d.example"]}]}, "reports.0.to"),
        ({"reports": [{"name": "R", "report": "roi", "to": TO, "window": "next week"}]}, "this or last"),
        ({"reports": [{"name": "R", "report": "roi", "to": TO, "figures": ["none"]}]}, "figures: expected"),
        ({"alerts": [{"name": "A", "kind": "none", "to": TO}]}, "alerts.0"),
        ({"alerts": [{"name": "A", "kind": "proof_failed"}]}, "A: expected addresses"),
        ({"alerts": [{"name": "A", "kind": "proof_failed", "webhooks": ["ops"]}]}, "no webhook ops"),
        ({"alerts": [{"name": "A", "kind": "proof_failed", "to": TO}] * 2}, "each name once"),
        ({"webhooks": {"ops": {"url": "https://h.example", "secret": "plain"}}}, "whsec_"),
        ({"webhooks": {"ops": {"url": "file:///etc/passwd", "secret": SECRET}}}, "webhooks.ops.url"),
        ({"webhooks": {"ops": {"url": "https://h.example"}}}, "secret_env"),
    ],
)  # fmt: skip
def test_a_wrong_plan_is_told_with_its_place(api: Api, tmp_path: Path, parts: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=r"notices\.yaml") as refusal:
        a_plan(tmp_path, api, **parts)
    assert told in str(refusal.value)
    assert SECRET not in str(refusal.value)
