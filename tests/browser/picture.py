"""The picture of the page in the README: `make picture`, while `campaign-ledger demo` runs."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM

PICTURE = Path(__file__).parents[2] / "docs" / "page.png"


def main(url: str = "http://127.0.0.1:8080") -> None:
    """Take it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1240, "height": 1000}, color_scheme="light", locale="en-GB")
        page.goto(f"{url}/ledgers/demo/campaigns?period=2026-Q2&return=invoiced")
        page.wait_for_load_state("load")
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
