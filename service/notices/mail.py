"""Mail by SMTP. What looks temporary is tried again, and the library, which blocks, has a thread of its own."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import NamedTuple

from service.settings import Settings

_SECONDS = 30.0
_PAUSES = (1.0, 5.0)  # before another attempt
_TEMPORARY = range(400, 500)


class Attachment(NamedTuple):
    """A file with a message."""

    name: str
    media_type: str
    content: bytes


class NotSentError(RuntimeError):
    """A message that no server has taken."""


def message(
    settings: Settings, to: Sequence[str], subject: str, text: str, html: str, attachments: Sequence[Attachment] = ()
) -> EmailMessage:
    """Return a message in plain text and HTML."""
    made = EmailMessage()
    made["Subject"] = " ".join(subject.split())
    made["From"] = settings.mail_from
    made["To"] = ", ".join(to)
    made["Date"] = formatdate()
    made["Message-ID"] = make_msgid(domain=settings.mail_from.rpartition("@")[2].rstrip(">") or "localhost")
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(text)
    made.add_alternative(html, subtype="html")
    for one in attachments:
        kind, _, subtype = one.media_type.partition("/")
        made.add_attachment(one.content, maintype=kind, subtype=subtype, filename=one.name)
    return made


async def send(settings: Settings, sent: EmailMessage) -> None:
    """Send a message; NotSentError says why that does not work."""
    if settings.smtp_host is None:
        raise NotSentError("CAMPAIGN_LEDGER_SMTP_HOST says by which server mail is sent: it is not set")
    for pause in (*_PAUSES, None):
        try:
            await asyncio.to_thread(_send, settings, sent)
        except (OSError, smtplib.SMTPException) as error:
            code = getattr(error, "smtp_code", 0)
            if pause is None or (code and code not in _TEMPORARY):
                detail = " ".join(str(error).split())[:300]
                raise NotSentError(f"{settings.smtp_host} did not take a mail to {sent['To']}: {detail}") from None
            await asyncio.sleep(pause)
        else:
            return


def _send(settings: Settings, sent: EmailMessage) -> None:
    context = ssl.create_default_context()
    host, port = settings.smtp_host or "", settings.smtp_port
    whole = settings.smtp_security == "tls"
    server = (
        smtplib.SMTP_SSL(host, port, timeout=_SECONDS, context=context)
        if whole
        else smtplib.SMTP(host, port, timeout=_SECONDS)
    )
    with server:
        if settings.smtp_security == "starttls":
            server.starttls(context=context)
        if settings.smtp_user is not None and settings.smtp_password is not None:
            server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
        server.send_message(sent)
