"""What an Email Campaign becomes, which is of one lead or contact: a touch for each of its mails that was read or answered."""

from __future__ import annotations

from collections.abc import Sequence

from service.intake.senders.contract import Draft, Source, Statement, Waiting
from service.intake.senders.erpnext.fields import Doc, Parts, campaign_of, id_of, versions
from service.intake.senders.fields import instant, stated, text

MAILED = "mailed"  # what a Communication states of the Email Campaign that it belongs to
_WHOSE = {"Lead": "lead_id", "Contact": "contact_id"}


def email_campaign(_: str, statements: Sequence[Statement], source: Source) -> Parts:
    """An Email Campaign says whose it is and of which campaign, and its Communications what became of each mail."""
    history = versions(one for one in statements if one.verb != MAILED)
    mails: dict[str, list[Statement]] = {}
    for one in statements:
        if one.verb == MAILED:
            mails.setdefault(str(one.fields.get("name")), []).append(one)
    if not history:
        if mails:
            yield Waiting("a mail names this Email Campaign, which itself has not come yet: whose it is is unknown")
        return
    doc = history[-1].doc
    whose, campaign = (
        _WHOSE.get(text(doc.get("email_campaign_for"), "email_campaign_for") or ""),
        campaign_of(doc, source),
    )
    recipient = id_of(doc, "recipient")
    if whose is None or campaign is None or recipient is None:
        return  # of a group, which names nobody
    for name, several in mails.items():
        mail = versions(several)[-1].doc
        for key, field, interaction in _told(mail):
            if (at := instant(mail.get(field), field, source.mapping["timezone"])) is not None:
                yield Draft(f"{key}/{name}", "touchpoint.recorded", at, stated(
                    touchpoint_id=f"{name}/{key}", campaign_id=campaign, activity_type="email", interaction=interaction,
                    **{whose: recipient},
                ))  # fmt: skip


def _told(mail: Doc) -> list[tuple[str, str, str]]:
    """Return (key, the field with its time, interaction) of what a mail tells."""
    if text(mail.get("sent_or_received"), "sent_or_received") == "Received":
        return [("answered", "communication_date", "response")]
    return [("read", "read_by_recipient_on", "view")]


def campaign_of_mail(doc: Doc) -> str | None:
    """Return the Email Campaign that a Communication belongs to."""
    named = text(doc.get("reference_doctype"), "reference_doctype") == "Email Campaign"
    return id_of(doc, "reference_name") if named else None
