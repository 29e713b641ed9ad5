"""README, image and composition speak of commands, settings and files that there are."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.main import get_command

from service.cli import app
from service.intake.tabular import load_mapping, read_events
from service.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PREFIX = "CAMPAIGN_LEDGER_"


def options_of(words: list[str]) -> set[str]:
    """Return the options of the command that the words start with; LookupError if there is none."""
    command: Any = get_command(app)
    context = typer.Context(command)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    return {option for one in command.get_params(context) for option in (*one.opts, *one.secondary_opts)}


def assert_exists(words: list[str]) -> None:
    used = {word.partition("=")[0] for word in words if word.startswith("-")}
    assert used <= options_of(words), words


def in_readme() -> list[str]:
    spoken = re.findall(r"campaign-ledger ([a-z][^`#&\n)]*)", README)
    return [one.strip() for one in spoken]


def command_of(service: str) -> list[str]:
    return list(COMPOSE["services"][service]["command"])


@pytest.mark.parametrize("command", in_readme())
def test_a_command_in_the_readme_exists_with_its_options(command: str) -> None:
    assert_exists(shlex.split(command))


def test_the_readme_names_every_command() -> None:
    named = {one.split()[0] for one in in_readme()}
    assert named | {"demo"} == set(get_command(app).commands)  # type: ignore[attr-defined]  # the app is a group


def test_a_make_target_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:^    |`)make ([a-z]+)", README, re.MULTILINE)) <= targets


def test_a_path_of_the_readme_is_in_the_api_description() -> None:
    described = (ROOT / "openapi/openapi.json").read_text(encoding="utf-8")
    for path in re.findall(r"[`1-9](/(?:v1/[a-z-]+|livez|readyz|metrics))\b", README):
        assert f'"{path}"' in described or f'"{path}/' in described, path


def test_a_file_that_the_readme_names_exists() -> None:
    for name in re.findall(r"(?:docs|service|tests|migrations|openapi|benchmarks)/[\w/.-]*|\.ci/run", README):
        assert (ROOT / name).exists(), name


def test_every_setting_is_in_the_readme_with_its_default() -> None:
    rows = dict(re.findall(rf"^\| `{PREFIX}(\w+)` \| (\S+) \|", README, re.MULTILINE))
    assert {name.lower() for name in rows} == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        shown = rows[name.upper()].strip("`")
        if isinstance(field.default, int | float):
            assert float(shown) == field.default, name
        elif field.default is not None:
            assert shown == str(field.default), name


def test_environment_variables_of_image_and_composition_are_settings() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    services = COMPOSE["services"].values()
    used = {name for one in services for name in one["environment"] if name.startswith(PREFIX)}
    assert used | set(re.findall(rf"{PREFIX}[A-Z_]+", DOCKERFILE)) <= known


@pytest.mark.parametrize("service", [name for name, one in COMPOSE["services"].items() if "command" in one])
def test_a_service_of_the_composition_runs_an_existing_command(service: str) -> None:
    assert_exists(command_of(service))


def test_one_service_migrates_before_one_serves_and_one_projects() -> None:
    assert {name: command_of(name)[0] for name in ("migrate", "api", "worker")} == {
        "migrate": "migrate", "api": "serve", "worker": "worker",
    }  # fmt: skip
    assert "--no-projector" in command_of("api")
    for name in ("api", "worker"):
        waits = COMPOSE["services"][name]["depends_on"]
        assert waits == {"migrate": {"condition": "service_completed_successfully"}}


def test_the_image_runs_an_existing_command_as_no_root_with_a_health_check() -> None:
    entry, command = (re.findall(rf"^{word} (\[.*\])$", DOCKERFILE, re.MULTILINE)[-1] for word in ("ENTRYPOINT", "CMD"))
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert yaml.safe_load(entry)[0] in scripts
    assert_exists(yaml.safe_load(command))
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d*$", final, re.MULTILINE)
    assert "HEALTHCHECK" in final
    assert "/readyz" in final


def test_what_the_image_copies_exists_and_is_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        for name in line.split()[:-1]:
            assert (ROOT / name).exists(), name
            assert name in kept, name


def test_the_example_of_the_readme_can_be_imported() -> None:
    examples = ROOT / "docs/examples"
    events = [event for _, event in read_events(load_mapping(examples / "crm.yaml"), examples / "crm.csv")]
    assert [event["type"] for event in events].count("lead.captured") == 3
    assert [event["type"] for event in events].count("order.placed") == 1
