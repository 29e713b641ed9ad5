"""The five revenue performance figures: value by stage, conversion, reach, velocity and return of a cohort of leads."""

from __future__ import annotations

from typing import Any

from service.dashboard.desk import Desk


async def read(desk: Desk) -> dict[str, Any]:
    """Return them, where there is such a report."""
    del desk
    return {}
