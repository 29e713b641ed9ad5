"""Clocks that run (REPORTS section 3, sla): by the day on which they become overdue, for whoever has to hurry."""

from __future__ import annotations

from service.domain.cubes import Posts
from service.domain.details import WAITING
from service.domain.reports.sla import CLOCKS

POSTS = Posts(CLOCKS, {}, counts=(WAITING,))  # the report of agreements posts them
