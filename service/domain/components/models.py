"""Attribution models as they are published (REPORTS section 5): the last definition of each holds, and perhaps is official."""

from __future__ import annotations

from service.domain.components import statements

KIND = statements.kind(
    "model", identity="model_id", types={"attribution.model_published": ("definition", "official")}
)  # fmt: skip
