"""Credentials that a sender's API replaces, such as a refresh token that serves once: kept with the source, one at a time."""

from __future__ import annotations

import asyncpg

from service.intake.hooks import Hook
from service.intake.senders.contract import Credentials, Renewal, UnavailableError
from service.store import renewals
from service.store.vault import Vault


def keeping(hook: Hook, pool: asyncpg.Pool, vault: Vault) -> Hook:
    """Return a hook whose source keeps the credentials that its API gives (`Source.renew`)."""

    async def renew(renewed: Renewal) -> Credentials:
        try:
            return await renewals.renew(pool, vault, hook.stored, renewed)
        except renewals.BusyError as error:
            raise UnavailableError(str(error)) from None

    return hook._replace(source=hook.source._replace(renew=renew))
