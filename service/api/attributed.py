"""By which models a report is asked for: those of `model` in the report of attribution, and `attribution` of others."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel

from service.api import parameters
from service.domain.attribution.models import OFFICIAL
from service.domain.report import Report
from service.domain.reports import attribution
from service.projections.reports import reading


async def asked_for(view: reading.Snapshot, report: Report, asked: BaseModel) -> Report:
    """Return the report as its money is dealt by what was asked for. A model that is not known then is a 422."""
    if report.keyed:
        # Data-driven models, which are worked out of paths, are to be told apart from these here.
        known = [*(await view.models()).models()]
        wanted = list(dict.fromkeys(getattr(asked, "model", []))) or known
        return attribution.by_models(_known(one, known, "model") for one in wanted)
    model = getattr(asked, "attribution", "")
    if model and report.name not in attribution.ATTRIBUTED:
        expected = f"to be absent: the money of {', '.join(attribution.ATTRIBUTED)} may be dealt by a model"
        raise parameters.invalid("attribution", expected, model)
    if model in ("", OFFICIAL):
        return report
    deals = await view.models()
    model = deals.official() if model == "official" else _known(model, deals.models(), "attribution")
    return report if model == OFFICIAL else attribution.attributed(report, model)


def _known(model: str, known: Iterable[str], field: str) -> str:
    if model not in known:
        raise parameters.invalid(field, f"one of {', '.join(known)}", model)
    return model
