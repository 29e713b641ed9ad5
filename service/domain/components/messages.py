"""Messages that a campaign sent (REPORTS section 3, response): each event is a number of them."""

from __future__ import annotations

from service.domain.components import statements

KIND = statements.kind("messages", identity="", types={"campaign.messages_sent": ("campaign_id", "count", "channel")})
