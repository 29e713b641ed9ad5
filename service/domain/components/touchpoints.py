"""Touchpoints (REPORTS sections 3 and 5): a campaign reached somebody, unless the touch was suppressed."""

from __future__ import annotations

from service.domain.components import statements

SUPPRESSED = "touchpoint.suppressed"
KIND = statements.kind(
    "touchpoint",
    identity="touchpoint_id",
    types={"touchpoint.recorded": ("campaign_id", "activity_type", "interaction", "contact_id", "lead_id")},
    marks=frozenset({SUPPRESSED}),
)
