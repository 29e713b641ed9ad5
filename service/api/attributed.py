"""By which models a report is asked for: those of `model` in the report of attribution, and `attribution` of others."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel

from service.api import parameters
from service.domain.attribution import data_driven
from service.domain.attribution.models import OFFICIAL
from service.domain.report import Report
from service.domain.reports import attribution
from service.projections.attribution import data_driven as of_paths
from service.projections.reports import reading


async def asked_for(view: reading.Snapshot, report: Report, asked: BaseModel) -> Report:
    """Return the report as its money is dealt by what was asked for. A model that is not known then is a 422."""
    if report.keyed:
        wanted = list(dict.fromkeys(getattr(asked, "model", [])))
        for model in wanted:
            if model in data_driven.MODELS:
                _check_of_paths(model, asked)
        known = [*(await view.models()).models()]
        return attribution.by_models(_known(one, [*known, *data_driven.MODELS], "model") for one in wanted or known)
    model = getattr(asked, "attribution", "")
    if model and report.name not in attribution.ATTRIBUTED:
        expected = f"to be absent: the money of {', '.join(attribution.ATTRIBUTED)} may be dealt by a model"
        raise parameters.invalid("attribution", expected, model)
    if model in ("", OFFICIAL):
        return report
    deals = await view.models()
    model = deals.official() if model == "official" else _known(model, deals.models(), "attribution")
    return report if model == OFFICIAL else attribution.attributed(report, model)


def _check_of_paths(model: str, asked: BaseModel) -> None:
    """Refuse what a model that goes by paths has no answer to: these are of leads, and of campaigns alone."""
    if isinstance(asked, parameters.Entries):
        expected = f"another model: what {model} deals is worked out of paths, which /v1/attribution/paths lists"
        raise parameters.invalid("model", expected, model)
    if getattr(asked, "date_basis", "") != "cohort":
        raise parameters.invalid("date_basis", f"cohort: {model} goes by the leads captured in the window", "event")
    groups = [one.strip() for one in getattr(asked, "group_by", "").split(",")]
    told = f"one of {', '.join(of_paths.GROUPS)}: {model} knows campaigns alone"
    for group in groups:
        if group not in of_paths.GROUPS:
            raise parameters.invalid("group_by", told, group)
    for name in attribution.ATTRIBUTION.by:
        if name not in of_paths.GROUPS and getattr(asked, name, []):
            raise parameters.invalid(name, f"no such filter, but {told}", ", ".join(getattr(asked, name)))


def _known(model: str, known: Iterable[str], field: str) -> str:
    if model not in known:
        raise parameters.invalid(field, f"one of {', '.join(known)}", model)
    return model
