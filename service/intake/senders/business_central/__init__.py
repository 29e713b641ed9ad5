"""Dynamics 365 Business Central: web hooks of its API v2.0, which only say that a document changed; it is read back.

Facts, from Microsoft Learn "Working with webhooks in Dynamics 365 Business Central" [1], the pages of the API's resources
(salesInvoice, salesCreditMemo, salesOrder, purchaseInvoice, dimensionSetLine) [2] and "Using Service-to-Service (S2S)
Authentication" [3]:
- Creating and renewing a subscription ask the URL with `validationToken` in the query; it must be answered 200 with the
  token as body. A subscription ends after three days unless it is renewed [1].
- A POST is {"value": [{subscriptionId, clientState, expirationDateTime, resource, changeType, lastModifiedDateTime}]}, of
  several subscriptions at once; nothing is signed, `clientState` is the shared secret (2048 characters at most) [1].
- changeType is created, updated, deleted, or `collection`: so much has changed that the resource is a filter to read by.
  Notifications come half a minute late, one for several changes; a change of a line is one of its document [1].
- After 408, 429 and 5xx it tries again for 36 hours. After any other failure the subscription is deleted [1]: so a request
  of which nothing is verified is answered 503, and one with something of ours 200, whatever else is in it: a notification
  of another sender, or one that cannot be read, never spoils the others.
- Order is not promised. Versions before 19 begin the body with a byte order mark [1].
- An invoice keeps its id when it is posted; its number is another then. Posted are the states Open, Paid, Canceled (there is a
  corrective credit memo) and Corrective [2]. An order that is invoiced completely is deleted.
- The API wants OAuth 2.0 client credentials of Microsoft Entra [3], and pages by @odata.nextLink. Blank dates are 0001-01-01.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from service.domain.catalogue import shown
from service.domain.money import MINOR_DIGITS
from service.intake.blanks import BLANKS
from service.intake.senders.business_central.reading import COMPANY, fetch, items, read, selected
from service.intake.senders.business_central.rules import translate, unsaid
from service.intake.senders.contract import Kind, MalformedError, RejectedError, Reply, Request, Screened, Source
from service.intake.senders.fields import blanks, with_defaults
from service.intake.senders.mappings import check_campaigns, check_choice, check_zone
from service.intake.senders.signatures import check_secret
from service.store.rows import encode_json

DEFAULTS: dict[str, Any] = {
    "company_url": None,  # …/v2.0/<tenant>/<environment>/api/v2.0/companies(<id>): where documents are read back
    "tenant": None,  # of Microsoft Entra
    "token_url": None,  # where tokens are had, if not at Microsoft Entra's usual place
    "scope": "https://api.businesscentral.dynamics.com/.default",
    "timezone": "UTC",
    "currency": None,  # of documents that name none: the company's local currency
    "currencies": {},  # a currency's code in Business Central → ISO 4217, where they differ
    "campaign_dimension": "CAMPAIGN",  # whose value on an order or a purchase invoice is the campaign
    "campaign_field": None,  # or a field of the document, such as shortcutDimension1Code
    "campaigns": {},  # value → campaign_id
    "blanks": list(BLANKS),  # values that name no campaign
    "order_status": ["Open"],  # from which state on an order counts: Draft, In Review, Open (which is "released")
    "deleted_orders": "keep",  # or "cancel"
    "order": "number",  # the field of an order that is its order_id
    "opportunity": None,  # the field of an order that names the CRM's opportunity
    "quoted_opportunity": None,  # the field of a quote that names it
    "invoiced_order": "orderNumber",  # the field of an invoice that names its order
}
# Which document the field is one of.
_FIELDS = {
    "order": "salesOrder", "opportunity": "salesOrder", "invoiced_order": "salesInvoice", "quoted_opportunity": "salesQuote",
    "campaign_field": "purchaseInvoice",
}  # fmt: skip
_FOREIGN = "the clientState is missing, or does not fit any secret of this source"


def check_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the mapping."""
    checked = with_defaults(mapping, DEFAULTS, tables=("currencies", "campaigns"))
    check_zone(checked)
    url = checked["company_url"]
    if url is not None and not COMPANY.fullmatch(url):
        raise ValueError(f"company_url: expected a URL that ends in /companies(<id>), got {shown(url)}")
    for key, document in _FIELDS.items():
        if checked[key] is not None and checked[key] not in selected(document):
            expected = ", ".join(selected(document))
            raise ValueError(f"{key}: expected a field of {document} ({expected}), got {shown(checked[key])}")
    check_choice(checked, "deleted_orders", "keep", "cancel")
    codes = {"currency": checked["currency"], **{f"currencies.{k}": v for k, v in checked["currencies"].items()}}
    for name, code in codes.items():
        if code is not None and code not in MINOR_DIGITS:
            raise ValueError(f'{name}: expected an ISO 4217 code such as "EUR", got {shown(code)}')
    check_campaigns(checked)
    return {**checked, "blanks": blanks(checked["blanks"])}


def handshake(request: Request, _: Source) -> Reply | None:
    """Answer the question with which Business Central makes or renews a subscription."""
    token = request.query.get("validationToken")
    if token is None:
        return None
    return Reply(
        200, {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"}, token.encode()
    )


def verify(request: Request, source: Source, _: datetime) -> None:
    """Check that a notification carries the clientState; those that do not are told apart by `screened`."""
    try:
        parts = items(request)
    except MalformedError:
        raise RejectedError("the body is no list of notifications with a clientState") from None
    if not any(_is_own(one, source) for one in parts):
        raise RejectedError(_FOREIGN)


def screened(request: Request, source: Source) -> Screened:
    """Divide the notifications by their clientState, which is a secret and not kept."""
    try:
        parts = items(request)
    except MalformedError:
        return Screened(request.body)
    told_apart = source.secrets and not source.mapping.get(
        "authentication"
    )  # else something other than it is the proof
    own = [one for one in parts if not told_apart or _is_own(one, source)]
    foreign = [one for one in parts if told_apart and not _is_own(one, source)]
    reason = f"{len(foreign)} of {len(parts)} notifications: {_FOREIGN}"
    return Screened(_kept(own) if own or not foreign else None, _kept(foreign) if foreign else None, reason)


def _is_own(item: Any, source: Source) -> bool:
    state = item.get("clientState") if isinstance(item, dict) else None
    try:
        check_secret(state if isinstance(state, str) else None, source.secrets, "clientState")
    except RejectedError:
        return False
    return True


def _kept(several: Sequence[Any]) -> bytes:
    hidden = [{**one, "clientState": "***"} if isinstance(one, dict) else one for one in several]
    return encode_json({"value": hidden})


def sign(_: bytes, __: Source, ___: datetime) -> dict[str, str]:
    """Return the headers; what proves the sender is the clientState in the body."""
    return {"content-type": "application/json"}


def reply(_: Request, accepted: bool) -> Reply:
    """Answer 200, or 503 to what is not verified: after 401 Business Central would delete the subscription."""
    if accepted:
        return Reply(200)
    return Reply(503, {"content-type": "text/plain", "retry-after": "600"}, b"not verified; check the clientState\n")


KIND = Kind(
    name="business-central",
    about="Dynamics 365 Business Central: web hooks of its API v2.0, with documents read back",
    check_mapping=check_mapping,
    verify=verify,
    read=read,
    translate=translate,
    unsaid=unsaid,
    sign=sign,
    screened=screened,
    handshake=handshake,
    reply=reply,
    fetch=fetch,
    credentials=("client_id", "client_secret"),
)
