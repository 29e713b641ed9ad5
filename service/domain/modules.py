"""Finds what the modules of a package declare, so that a new module is all that it takes."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any


def found(package: ModuleType, name: str) -> list[Any]:
    """Return what the modules of a package have under a name, in the order of the modules' names."""
    modules = sorted(one.name for one in iter_modules(package.__path__))
    every = [import_module(f"{package.__name__}.{module}") for module in modules]
    return [getattr(module, name) for module in every if hasattr(module, name)]
