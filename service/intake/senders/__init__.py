"""The kinds of senders: each module beside this one that has a `KIND` is one. `contract` says what a kind is.

Any of them may be authenticated in any way that `authentication` knows.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from service.intake.senders.authentication import apart
from service.intake.senders.contract import Kind

KINDS: dict[str, Kind] = {
    kind.name: apart(kind)
    for module in sorted(iter_modules(__path__), key=lambda one: one.name)
    if (kind := getattr(import_module(f"{__name__}.{module.name}"), "KIND", None)) is not None
}
