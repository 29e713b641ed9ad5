"""Which of Salesforce's fields and statuses are which of ours, unless a mapping says otherwise; see `crm`."""

from __future__ import annotations

from service.intake.senders import crm

_MONEY = {"amount": "TotalAmount", "currency": "CurrencyIsoCode"}
_EVER = {"created": "CreatedDate", "status": "Status"}
_ABOUT = {"created": "CreatedDate", "owner": "OwnerId", "lead": "WhoId", "contact": "WhoId", "opportunity": "WhatId"}
DEFAULTS = crm.defaults(
    fields={
        "lead": {
            **_EVER, "channel": "LeadSource", "source": "LeadSource", "owner": "OwnerId", "contact": "ConvertedContactId",
        },
        "deal": {
            "created": "CreatedDate", "status": "StageName", "amount": "Amount", "currency": "CurrencyIsoCode",
            "campaign": "CampaignId", "account": "AccountId", "owner": "OwnerId", "probability": "Probability",
            "close": "CloseDate", "closed": "IsClosed", "won": "IsWon", "name": "Name",
        },
        "quote": {**_EVER, "amount": "TotalPrice", "currency": "CurrencyIsoCode", "opportunity": "OpportunityId"},
        "order": {
            **_EVER, **_MONEY, "placed_at": "ActivatedDate", "opportunity": "OpportunityId", "quote": "QuoteId",
            "account": "AccountId", "reduces": "IsReductionOrder",
        },
        "invoice": {
            **_EVER, **_MONEY, "tax": "TotalTaxAmount", "posting": "InvoiceDate", "due": "DueDate",
            "order": "ReferenceEntityId", "account": "BillingAccountId",
        },
        "credit_note": {**_EVER, **_MONEY, "posting": "CreditDate", "invoice": "ReferenceEntityId"},
        "payment": {
            "created": "CreatedDate", "status": "Type", "at": "AppliedDate", "amount": "Amount",
            "currency": "CurrencyIsoCode", "invoice": "InvoiceId",
        },
        "task": {
            **_ABOUT, "status": "Status", "kind": "TaskSubtype", "at": "CompletedDateTime",
            "seconds": "CallDurationInSeconds", "outcome": "CallDisposition",
        },
        "meeting": {**_ABOUT, "kind": "EventSubtype", "at": "EndDateTime", "minutes": "DurationInMinutes"},
        "case": {**_EVER, "closed": "IsClosed", "closed_at": "ClosedDate", "owner": "OwnerId", "account": "AccountId"},
        "stage": {"created": "CreatedDate", "name": "MasterLabel", "rank": "SortOrder", "probability": "DefaultProbability"},
        "campaign": {
            "created": "CreatedDate", "name": "Name", "type": "Type", "parent": "ParentId", "start": "StartDate",
            "end": "EndDate", "currency": "CurrencyIsoCode", "expected": "ExpectedRevenue", "budget": "BudgetedCost",
            "cost": "ActualCost",
        },
        "contact_role": {"created": "CreatedDate", "opportunity": "OpportunityId", "contact": "ContactId", "role": "Role"},
        "member": {
            "created": "CreatedDate", "campaign": "CampaignId", "lead": "LeadId", "contact": "ContactId",
            "responded": "HasResponded",
        },
    },
    events={
        "lead": {
            "Qualified": "lead.qualified:sql", "Closed - Converted": "lead.qualified:sql",
            "Unqualified": "lead.disqualified", "Closed - Not Converted": "lead.disqualified",
        },
        "deal": {"Closed Won": "opportunity.won", "Closed Lost": "opportunity.lost"},
        "quote": {"Presented": "quote.sent", "Accepted": "quote.accepted", "Denied": "quote.rejected"},
        "order": {"Activated": "order.placed", "Cancelled": "order.cancelled", "Canceled": "order.cancelled"},
        "invoice": {
            "Posted": "invoice.posted", "Voided": "invoice.cancelled", "Cancelled": "invoice.cancelled",
            "Canceled": "invoice.cancelled",
        },
        "credit_note": {
            "Posted": "invoice.credited", "Voided": "invoice.cancelled", "Cancelled": "invoice.cancelled",
            "Canceled": "invoice.cancelled",
        },
        "payment": {"Applied": "payment.received", "Unapplied": "payment.received:back"},
        "task": {"Completed": "activity.completed"},
    },
    activities={"Call": "call", "Email": "email", "ListEmail": "email", "Task": "other", "LinkedIn": "other"},
    objects={
        "Lead": "lead", "Opportunity": "deal", "Quote": "quote", "Order": "order", "Invoice": "invoice",
        "CreditMemo": "credit_note", "PaymentLineInvoice": "payment", "Campaign": "campaign", "CampaignMember": "member",
        "OpportunityContactRole": "contact_role",
        "Task": "task", "Event": "meeting", "Case": "case", "OpportunityStage": "stage",
    },
    organization=None,  # OrganizationId that outbound messages have to name
)  # fmt: skip
