"""Which errors are faults of the database, and which are ours: by classes of SQLSTATE, not by names of exceptions.

After a fault, whoever asked should ask again. Some say that the database as a whole does not work just now (`is_outage`),
others that one statement did not get through, as with a deadlock, a time limit, or damage in one place.
"""

from __future__ import annotations

import asyncpg

_READ_ONLY, _IDLE_FOR_TOO_LONG = "25006", "57P05"
# Connections; the disk is full, or there are too many connections; ended by an operator or a crash; nobody lets us in, there
# is no such database, or we may do nothing there.
_OUTAGES = ("08", "53100", "53300", "57P", "28", "3D", "42501", _READ_ONLY)
# A statement or transaction that was ended, for others' sake or for lack of time or memory, and could work the next time; a
# transaction that had broken before, or was idle for too long; and what is wrong below or inside of the server, in one place.
_PASSING = ("40", "53", "55", "57014", "25P02", "25P03", "25P04", _IDLE_FOR_TOO_LONG, "58", "F0", "XX")
# What the words to a caller are; the first that fits.
_WORDS = {
    "53100": "the disk of the database is full",
    "53": "the database lacks resources",
    _READ_ONLY: "the database takes no writes at the moment",
}


def is_fault(error: BaseException) -> bool:
    """Tell whether an error is one of the database, so that asking again may help."""
    changed = isinstance(error, asyncpg.InvalidCachedStatementError)  # a migration has passed by
    late = isinstance(error, TimeoutError)
    return changed or late or is_outage(error) or _state(error).startswith(_PASSING)


def is_outage(error: BaseException) -> bool:
    """Tell whether an error says that the database cannot be reached, or cannot be written to."""
    if isinstance(error, asyncpg.PostgresError):
        state = _state(error)
        return state.startswith(_OUTAGES) and state != _IDLE_FOR_TOO_LONG
    return _is_of_connection(error) and not isinstance(error, TimeoutError)


def is_connection_broken(error: BaseException) -> bool:
    """Tell whether a connection cannot be used after an error: after anything but a plain error in SQL or a time limit."""
    if isinstance(error, asyncpg.PostgresError):
        return getattr(error, "severity_en", None) in {"FATAL", "PANIC"}
    return _is_of_connection(error) and not isinstance(error, TimeoutError)


def words(error: BaseException) -> str:
    """Say what is wrong with the database, to a caller."""
    state = _state(error)
    return next((text for start, text in _WORDS.items() if state.startswith(start)), "the database does not answer")


def _is_of_connection(error: BaseException) -> bool:
    """Tell whether the driver has lost the connection or its way in it; a value that it cannot send is no such thing."""
    of_driver = isinstance(error, asyncpg.InterfaceError) and not isinstance(error, ValueError)
    return of_driver or isinstance(error, asyncpg.InternalClientError | OSError)


def _state(error: BaseException) -> str:
    return getattr(error, "sqlstate", None) or ""
