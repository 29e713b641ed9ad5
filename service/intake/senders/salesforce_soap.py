"""Salesforce's outbound messages as SOAP: their notifications, and the acknowledgement that stops them from coming again.

XML is read without document types and entities, so that a small message cannot grow, nor ask for a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from service.domain.catalogue import shown
from service.intake.senders.contract import MalformedError
from service.intake.senders.fields import identifier

ACK = (
    b'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">'
    b'<soapenv:Body><notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack>'
    b"</notificationsResponse></soapenv:Body></soapenv:Envelope>"
)
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_SESSION = re.compile(rb"(<(?:\w+:)?SessionId(?:\s[^>]*)?>)[^<]*(?=</)")


class Notification(NamedTuple):
    """What one notification says: its own id, the record's object, and the record's fields as texts."""

    identity: str
    entity: str
    fields: Mapping[str, str | None]


def is_xml(body: bytes) -> bool:
    """Whether a body is XML rather than JSON."""
    return body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def without_session(body: bytes) -> bytes:
    """Return an outbound message without the session's id, which opens the sender's API to whoever has it."""
    return _SESSION.sub(rb"\1***", body)


def notifications_of(body: bytes) -> tuple[str, list[Notification]]:
    """Return the organization's id and the notifications of an outbound message; MalformedError if it is none."""
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise MalformedError(f"body: expected a SOAP envelope without entities, got {shown(str(error))}") from None
    message = next((one for one in root.iter() if _name(one) == "notifications"), None)
    if message is None:
        raise MalformedError("body: expected a SOAP envelope with notifications of an outbound message")
    found = [_notification(one) for one in message if _name(one) == "Notification"]
    if not found:
        raise MalformedError("notifications: expected at least one Notification")
    return _fields(message).get("OrganizationId") or "", found


def _notification(one: Element) -> Notification:
    record = next((child for child in one if _name(child) == "sObject"), None)
    if record is None:
        raise MalformedError("Notification: expected an sObject")
    identity = identifier(_fields(one).get("Id"), "Notification Id")
    return Notification(identity, record.get(_TYPE, "").rpartition(":")[2], _fields(record))


def _name(one: Element) -> str:
    return one.tag.rpartition("}")[2]


def _fields(parent: Element) -> dict[str, str | None]:
    """Return the texts of an element's children; xsi:nil is None."""
    return {_name(one): None if one.get(_NIL) in ("true", "1") else (one.text or "").strip() for one in parent}
