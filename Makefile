# Every target sets up what it needs. `make demo` and `make test` are all that a newcomer has to know.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready

ROUNDS ?= 100
WORKERS ?= 2

CLIENTS := tests/clients
BROWSER := tests/browser

.PHONY: setup clients browser picture demo test crash check format bench openapi lock clean

setup: $(STAMP)  ## .venv with all that is needed

$(STAMP): requirements-dev.txt pyproject.toml
	@echo "setting up .venv: what the service and its tests need, which takes a minute or two"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
	@echo "ready: . .venv/bin/activate; campaign-ledger --help"

demo: setup  ## the main job on the embedded database; stays up until Ctrl-C
	$(BIN)/campaign-ledger demo

# By file, in the order of their folders: those that take long begin, so that no process waits for the other at the end.
test: setup browser $(if $(shell command -v npm),clients)  ## all tests; WORKERS=0 for one process, without xdist
	$(BIN)/python -m pytest -m "not alone" --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m pytest -m alone

clients: $(CLIENTS)/.ready  ## what makes clients of the API description, for the tests that try them; needs npm

$(CLIENTS)/.ready: $(CLIENTS)/package.json $(CLIENTS)/package-lock.json $(CLIENTS)/requirements.txt
	@test -x $(CLIENTS)/.venv/bin/python || $(PYTHON) -m venv $(CLIENTS)/.venv
	$(CLIENTS)/.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(CLIENTS)/requirements.txt
	cd $(CLIENTS) && npm ci --ignore-scripts --silent
	@touch $@

browser:  ## what the page is looked at with, for the tests: chromium, as root on Debian, and axe-core, where there is npm
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get install -y -qq chromium >/dev/null; } \
		|| { apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } 2>/dev/null || echo "there is no chromium here: tests of the page will be skipped"
	@! command -v npm >/dev/null || test -e $(BROWSER)/node_modules/axe-core/axe.min.js || (cd $(BROWSER) && npm ci --ignore-scripts --silent)

picture: setup browser  ## the picture in the README, of a demo that runs: `make picture URL=http://127.0.0.1:8080`
	$(BIN)/python -m tests.browser.picture $(or $(URL),http://127.0.0.1:8080)

crash: setup  ## rounds of faults under load, as in `make crash ROUNDS=1000`; a few seconds each, exit code 1 if anything is lost
	$(BIN)/python -m tests.crash.campaign --rounds $(ROUNDS)

check: setup  ## exactly what CI runs before the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/campaign-ledger openapi --check openapi/openapi.json
	$(BIN)/python -m service.api.pages docs --check

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## minutes, into docs/performance.md; `make bench FULL=1` for the long rows
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.txt
	$(BIN)/python benchmarks/run.py $(if $(FULL),--full)

openapi: setup  ## the API description, and the pages that are made from the same data
	$(BIN)/campaign-ledger openapi > openapi/openapi.json
	$(BIN)/python -m service.api.pages docs

lock: setup  ## new versions into the lock files, with hashes and without hosts
	$(BIN)/uv pip compile --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 --quiet pyproject.toml -o requirements.txt --upgrade
	$(BIN)/uv pip compile --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 --quiet pyproject.toml --extra dev -o requirements-dev.txt --upgrade
	$(BIN)/uv pip compile --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 --quiet pyproject.toml --extra bench --constraint requirements-dev.txt -o requirements-bench.txt --upgrade
	$(BIN)/uv pip compile --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 --quiet $(CLIENTS)/requirements.in -o $(CLIENTS)/requirements.txt --upgrade

clean:
	rm -rf $(CLIENTS)/.venv $(CLIENTS)/node_modules $(CLIENTS)/.ready $(BROWSER)/node_modules .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
