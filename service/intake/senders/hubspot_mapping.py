"""Which of HubSpot's fields and statuses are which of ours, unless a mapping says otherwise; see `crm`."""

from __future__ import annotations

from service.intake.senders import crm

_ACTIVITY = {"created": "hs_createdate", "owner": "hubspot_owner_id", "at": "hs_timestamp"}
_COMMERCE = {"created": "hs_createdate", "currency": "hs_currency"}
DEFAULTS = crm.defaults(
    fields={
        "lead": {
            "created": "createdate", "status": "lifecyclestage", "owner": "hubspot_owner_id",
            "campaign": "hs_analytics_first_touch_converting_campaign", "channel": "hs_analytics_source",
            "source": "hs_analytics_source_data_1", "account": "associatedcompanyid",
        },
        "deal": {
            "created": "createdate", "status": "dealstage", "amount": "amount", "currency": "deal_currency_code",
            "account": "hs_primary_associated_company", "owner": "hubspot_owner_id", "close": "closedate",
            "probability": "hs_deal_stage_probability", "won": "hs_is_closed_won", "lost": "hs_is_closed_lost",
            "reason": "closed_lost_reason", "name": "dealname", "team": "hubspot_team_id",
        },
        "quote": {**_COMMERCE, "status": "hs_status", "amount": "hs_quote_amount"},
        "order": {
            **_COMMERCE, "status": "hs_pipeline_stage", "amount": "hs_total_price", "tax": "hs_tax",
            "currency": "hs_currency_code", "placed_at": "hs_external_created_date",
        },
        "invoice": {
            **_COMMERCE, "status": "hs_invoice_status", "amount": "hs_amount_billed", "tax": "hs_tax",
            "posting": "hs_invoice_date", "due": "hs_due_date",
        },
        "payment": {
            "created": "hs_createdate", "status": "hs_latest_status", "at": "hs_initiated_date", "amount": "hs_initial_amount",
            "refunded": "hs_refunds_amount", "currency": "hs_currency_code",
        },
        "call": {
            **_ACTIVITY, "status": "hs_call_status", "outcome": "hs_call_disposition", "milliseconds": "hs_call_duration",
        },
        "email": {**_ACTIVITY, "status": "hs_email_direction"},
        "meeting": {**_ACTIVITY, "status": "hs_meeting_outcome", "kind": "hs_activity_type", "at": "hs_meeting_end_time"},
        "case": {
            "created": "createdate", "status": "hs_pipeline_stage", "closed_at": "closed_date", "owner": "hubspot_owner_id",
        },
        "stage": {"name": "id", "rank": "displayOrder", "probability": "probability"},
    },
    events={
        "lead": {
            "lead": "lead.captured", "marketingqualifiedlead": ["lead.captured", "lead.qualified:mql"],
            "salesqualifiedlead": ["lead.captured", "lead.qualified:sql"], "opportunity": "lead.captured",
        },
        "deal": {"closedwon": "opportunity.won", "closedlost": "opportunity.lost"},
        "quote": {"APPROVAL_NOT_NEEDED": "quote.sent", "APPROVED": "quote.sent", "ACCEPTED": "quote.accepted"},
        "invoice": {"open": "invoice.posted", "paid": "invoice.posted", "voided": "invoice.cancelled"},
        "payment": dict.fromkeys(("succeeded", "partially_refunded", "refunded"), "payment.received"),
        "call": dict.fromkeys(("COMPLETED", "NO_ANSWER", "BUSY", "MISSED"), "activity.completed"),
        "email": {"EMAIL": "activity.completed"},
        "meeting": {"COMPLETED": "activity.completed"},
    },
    objects={
        "contact": "lead", "deal": "deal", "quote": "quote", "order": "order", "invoice": "invoice",
        "commerce_payment": "payment",
        "call": "call", "email": "email", "meeting": "meeting", "ticket": "case",
    },
    touches={  # the time of the last one, and where its campaign is named
        "recent_conversion_date": {"campaign": "recent_conversion_event_name", "activity": "form", "interaction": "response"},
        "hs_email_last_click_date": {"campaign": "hs_email_last_email_name", "activity": "email", "interaction": "click"},
        "hs_email_last_open_date": {"campaign": "hs_email_last_email_name", "activity": "email", "interaction": "view"},
    },
    outcomes={
        "f240bbac-87c9-4f6e-bf70-924b57d47db7": "answered",  # Connected
        "a4c4c377-d246-4b32-a13b-75a56a4cd0ff": "answered",  # Left live message
        "b2cf5968-551e-4856-9783-52b3da59a7d0": "voicemail",  # Left voicemail
        "73a0d17f-1163-4015-bdd5-ec830791da20": "missed",  # No answer
        "9d9162e7-6cf3-4944-bf63-4dff82258764": "missed",  # Busy
        "17b47fee-58de-441e-a44c-c6300d46f273": "missed",  # Wrong number
        **dict.fromkeys(("NO_ANSWER", "BUSY", "MISSED"), "missed"),
    },
    probability_of=1,
    amounts_include_tax=True,
    portal=None,  # portalId that events have to name
    api_url="https://api.hubapi.com",
    associations={"deal": "contacts", "quote": "deals", "order": "deals", "invoice": "deals,orders", "payment": "invoices",
                  **dict.fromkeys(("call", "email", "meeting"), "contacts,deals")},
)  # fmt: skip
