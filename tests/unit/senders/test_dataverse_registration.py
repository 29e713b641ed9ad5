"""Registering Dataverse's web hook: what a Web API is asked for, that asking again completes it, and what is not possible."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.intake.senders import KINDS
from service.intake.senders.dataverse.mapping import OPTIONAL
from service.intake.senders.dataverse.registration import STEPS, WebApi, planned, register
from tests.support.senders_api import serving

MAPPING = KINDS["dataverse"].check_mapping({"columns": {"lead": {"channel": "new_channel"}}})
KEYS = {"serviceendpoints": "serviceendpointid", "sdkmessageprocessingsteps": "sdkmessageprocessingstepid",
        "sdkmessageprocessingstepimages": "sdkmessageprocessingstepimageid"}  # fmt: skip


class Dataverse:
    """An organisation's tables, as far as registering looks at them."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in KEYS}

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        if headers.get("authorization") != "Bearer token":
            return 401, {"error": {"message": "no token"}}
        table, identity = re.findall(r"/api/data/v9\.2/(\w+)(?:\((.*)\))?$", urlsplit(path).path)[0]
        query = unquote(urlsplit(path).query)
        if method == "GET":
            return 200, {"value": list(self.rows(table, query))}
        if method == "PATCH":
            self.tables[table][identity] |= json.loads(body)
            return 204, b""
        assert headers["prefer"] == "return=representation"
        row = json.loads(body)
        identity = f"{table}-{len(self.tables[table])}"
        self.tables[table][identity] = row
        return 201, {**row, KEYS[table]: identity}

    def rows(self, table: str, query: str) -> Iterator[dict[str, Any]]:
        wanted = dict(re.findall(r"(\w+) eq '?([^'& ]+(?: Ledger)?)'?", query))
        if table == "sdkmessagefilters":
            name = wanted["primaryobjecttypecode"]
            for message in STEPS[name]:
                if message != "Fulfill":  # of some organisations
                    identity = {"name": message, "sdkmessageid": f"m-{message}"}
                    yield {"sdkmessagefilterid": f"f-{name}-{message}", "sdkmessageid": identity}
            return
        for key, row in self.tables[table].items():
            named = "name" not in wanted or row.get("name") == wanted["name"]
            step = wanted.get("_sdkmessageprocessingstepid_value")
            of_step = step is None or f"({step})" in row.get("sdkmessageprocessingstepid@odata.bind", "")
            if named and of_step:
                yield {**row, KEYS[table]: key}


def test_the_web_hook_its_steps_and_their_images_are_made_and_made_whole_again() -> None:
    there = Dataverse()
    with serving(there.answer) as url:
        api = WebApi(url, "token")
        lines = list(register(api, "Campaign Ledger", "https://l.test/h", "a-key-0123456789", MAPPING))
        assert lines[0] == "Campaign Ledger: made"
        assert "Campaign Ledger: Update of lead: made" in lines
        assert [one for one in lines if "not possible" in one] == [
            "Campaign Ledger: Fulfill of salesorder: not possible, this organisation has no such message"
        ]
        (endpoint,) = there.tables["serviceendpoints"].values()
        assert endpoint == {
            "name": "Campaign Ledger", "contract": 8, "url": "https://l.test/h", "authtype": 4, "authvalue": "a-key-0123456789",
        }  # fmt: skip
        steps = there.tables["sdkmessageprocessingsteps"]
        assert len(steps) == len(planned(MAPPING)) - 1
        (lead,) = (one for one in steps.values() if one["name"].endswith("Update of lead"))
        assert (lead["stage"], lead["mode"]) == (40, 1)
        assert lead["sdkmessagefilterid@odata.bind"] == "/sdkmessagefilters(f-lead-Update)"
        images = there.tables["sdkmessageprocessingstepimages"]
        assert len(images) == sum(bool(step.columns) for step in planned(MAPPING))
        assert all(one["imagetype"] == 1 and one["messagepropertyname"] == "Target" for one in images.values())
        assert any("new_channel" in one["attributes"].split(",") for one in images.values())
        again = list(register(api, "Campaign Ledger", "https://new.test/h", "another-key-01234", MAPPING))
        assert all(one.endswith(("kept", "key", "message")) for one in again), again
        assert (len(steps), endpoint["url"]) == (len(planned(MAPPING)) - 1, "https://new.test/h")
        api.close()
        refused = WebApi(url, "wrong")
        with pytest.raises(LookupError, match="401 to GET serviceendpoints: no token"):
            list(register(refused, "x", "u", "s", MAPPING))
        refused.close()


def test_an_image_has_the_columns_that_the_mapping_reads() -> None:
    columns = {step.table: step.columns for step in planned(MAPPING) if step.columns}
    assert {"createdon", "versionnumber", "merged", "new_channel", "campaignid"} <= set(columns["lead"])
    assert "merged" not in columns["invoice"]
    assert set(columns) == {table for table, messages in STEPS.items() if "Update" in messages} - {*OPTIONAL}
    told = {"columns": {"msevtmgt_eventregistration": {"campaign": "msevtmgt_eventid"}}}
    tables = {step.table for step in planned(KINDS["dataverse"].check_mapping(told))}
    assert {*OPTIONAL} & tables == {"msevtmgt_eventregistration"}


def test_the_command_shows_what_it_would_do_and_wants_a_secret_and_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["hooks", "register-dataverse", "https://x.test", "--url", "https://l.test/h", "--secret"]
    shown = CliRunner().invoke(app, [*arguments, "a-key-0123456789", "--dry-run"])
    assert shown.exit_code == 0
    assert "Update of opportunity: after (" in shown.output
    monkeypatch.delenv("DATAVERSE_TOKEN", raising=False)
    for secret in ("", "a-key-0123456789"):
        assert CliRunner().invoke(app, [*arguments, secret]).exit_code != 0
