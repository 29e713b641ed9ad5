"""What figures, groups and steps are called, in the field's words; the catalogues have them in other languages.

A name that is not here is called what it is called in answers, with blanks.
"""

from __future__ import annotations

from service.dashboard.language import N_, Language

FIGURES = {
    "budget": N_("Budget"), "actual_cost": N_("Cost"), "budget_variance": N_("Budget left"),
    "booked_revenue": N_("Booked"), "invoiced_revenue": N_("Invoiced"), "invoiced_revenue_gross": N_("Invoices"),
    "credited": N_("Credited"), "cogs": N_("Cost of goods"), "gross_margin": N_("Margin"), "margin_coverage": N_("Coverage"),
    "roi.booked": N_("ROI on booked"), "roi.invoiced": N_("ROI on invoiced"), "roi.margin": N_("ROI on margin"),
    "roas": N_("ROAS"), "cost_to_revenue": N_("Cost to revenue"), "break_even_roas": N_("Break-even ROAS"),
    "left.booked": N_("Left after cost"), "left.invoiced": N_("Left after cost"), "left.margin": N_("Left after cost"),
    "leads": N_("Leads"), "qualified_leads": N_("Qualified leads"), "opportunities": N_("Opportunities"),
    "orders": N_("Orders"), "new_customers": N_("New customers"), "cost_per_lead": N_("Cost per lead"),
    "cost_per_qualified_lead": N_("Cost per qualified lead"), "cost_per_opportunity": N_("Cost per opportunity"),
    "cost_per_order": N_("Cost per order"), "cac": N_("CAC"), "break_even_on": N_("Break-even"),
    "pipeline_velocity": N_("Pipeline velocity"), "win_rate": N_("Win rate"), "won": N_("Won"), "lost": N_("Lost"),
    "open": N_("Open"), "average_deal_size": N_("Average deal"), "maturity_days": N_("Days since the last lead"),
    "margin_rate": N_("Margin rate"), "share": N_("Share"),
    "qualified": N_("Qualified"), "accepted": N_("Accepted"), "rejected": N_("Rejected"), "disqualified": N_("Disqualified"),
    "opportunity": N_("Opportunity"), "ordered": N_("Ordered"), "invoiced": N_("Invoiced"), "cost": N_("Cost"),
    "rate_to_qualified": N_("Qualified %"), "rate_to_opportunity": N_("Opportunity %"), "rate_to_ordered": N_("Ordered %"),
    "cpa": N_("CPA"),
    "billed": N_("Billed"), "paid": N_("Paid"), "open_items": N_("Open items"), "overdue_items": N_("Overdue"),
    "mean_days_to_pay": N_("Days to pay"), "customers_at_start": N_("Customers at start"), "gained": N_("Gained"),
    "churned": N_("Churned"), "churned_of_start": N_("Churned of start"), "retention_rate": N_("Retention"),
    "renewals": N_("Renewals"), "renewed_amount": N_("Renewed"), "churned_amount": N_("Lost revenue"),
    "opened": N_("Opened"), "resolved": N_("Resolved"), "reopened": N_("Reopened"), "backlog": N_("Backlog"),
    "same_day": N_("Same day"), "same_day_rate": N_("Same day %"), "p50_hours": N_("Median hours"), "p90_hours": N_("90% hours"),
    "mean_hours": N_("Mean hours"), "csat_count": N_("Scores"), "csat_mean": N_("CSAT"), "csat_satisfied": N_("Satisfied"),
    "pipeline_value": N_("Pipeline"), "open_value": N_("Open value"), "weighted_value": N_("Weighted"),
    "unweighted_value": N_("Without probability"), "mean_cycle_days": N_("Cycle, days"), "entered": N_("Entered"),
    "moved_on": N_("Moved on"), "rate_on": N_("Moved on %"), "mean_days": N_("Mean days"), "p50_days": N_("Median days"),
    "p90_days": N_("90% days"), "sent": N_("Sent"), "expired": N_("Expired"), "sent_value": N_("Value sent"),
    "accepted_value": N_("Value accepted"), "acceptance_rate": N_("Accepted %"), "calls": N_("Calls"),
    "answered": N_("Answered"), "missed": N_("Missed"), "voicemail": N_("Voicemail"), "answer_rate": N_("Answered %"),
    "talk_s": N_("Talk, seconds"), "mean_talk_s": N_("Mean talk, seconds"), "advanced": N_("Advanced"),
    "advance_rate": N_("Advanced %"), "revenue_per_call": N_("Revenue per call"), "emails": N_("E-mails"),
    "meetings": N_("Meetings"), "demos": N_("Demos"), "visits": N_("Visits"), "other": N_("Other"),
    "quotes_sent": N_("Quotes sent"), "won_per_activity": N_("Won per activity"), "handed_over": N_("Handed over"),
    "rate_to_accepted": N_("Accepted %"), "rate_to_rejected": N_("Rejected %"),
    "booked_revenue_per_lead": N_("Booked per lead"), "contacts": N_("Contacts"), "consented": N_("Consented"),
    "addressable": N_("Addressable"), "reachable": N_("Reachable"), "granted": N_("Granted"), "withdrawn": N_("Withdrawn"),
    "messages_sent": N_("Messages sent"), "audience": N_("Audience"), "touches": N_("Touches"), "views": N_("Views"),
    "clicks": N_("Clicks"), "responses": N_("Responses"), "response_rate": N_("Response"),
    "expected_revenue": N_("Expected revenue"), "expected_share": N_("Of expected"), "started": N_("Started"), "met": N_("Met"),
    "late": N_("Late"), "running": N_("Running"), "overdue": N_("Overdue"), "met_rate": N_("Met %"), "target": N_("Target"),
    "actual": N_("Actual"), "attainment": N_("Attained"), "elapsed": N_("Elapsed"), "expected_by_now": N_("Expected by now"),
    "count": N_("Count"), "value": N_("Value"), "weighted": N_("Weighted"), "empirical": N_("Empirical"), "booked": N_("Booked"),
    "error": N_("Error"), "error_rate": N_("Error %"),
}  # fmt: skip
STEPS = {
    "captured": N_("Captured"), "qualified": N_("Qualified"), "opportunity": N_("Opportunity"),
    "quote_accepted": N_("Quote accepted"), "ordered": N_("Ordered"), "invoiced": N_("Invoiced"),
}  # fmt: skip
DURATIONS = {
    "captured_to_qualified": N_("Captured → qualified"), "qualified_to_opened": N_("Qualified → opportunity"),
    "opened_to_accepted": N_("Opportunity → quote accepted"), "accepted_to_ordered": N_("Quote accepted → order"),
    "ordered_to_invoiced": N_("Order → invoice"), "sales_cycle": N_("Opportunity → order"),
    "full_cycle": N_("Captured → order"), "lead_to_cash": N_("Captured → invoice"),
}  # fmt: skip
GROUPS = {
    "campaign": N_("Campaign"), "campaign_type": N_("Campaign type"), "channel": N_("Channel"), "parent": N_("Campaign group"),
    "source": N_("Source"), "medium": N_("Medium"), "lead_magnet": N_("Lead magnet"), "owner": N_("Owner"), "team": N_("Team"),
    "region": N_("Region"), "account": N_("Account"), "stage": N_("Stage"), "lost_reason": N_("Reason lost"),
    "sla": N_("Agreement"),
    "criterion": N_("Criterion"), "state": N_("State"), "level": N_("Level"), "score": N_("Score"), "reason": N_("Reason"),
    "day": N_("Day"), "week": N_("Week"), "month": N_("Month"), "quarter": N_("Quarter"), "year": N_("Year"),
}  # fmt: skip
KINDS = {
    "lead": N_("lead"), "opportunity": N_("opportunity"), "quote": N_("quote"), "order": N_("order"), "invoice": N_("invoice"),
    "credit_note": N_("credit note"), "payment": N_("payment"), "cost": N_("cost entry"), "campaign": N_("campaign"),
    "account": N_("account"), "call": N_("call"), "case": N_("case"), "touchpoint": N_("touchpoint"), "budget": N_("budget"),
}  # fmt: skip
MODELS = {
    "source_campaign": N_("Source campaign"), "first_touch": N_("First touch"), "last_touch": N_("Last touch"),
    "linear": N_("Linear"), "u_shaped": N_("U-shaped"), "w_shaped": N_("W-shaped"), "full_path": N_("Full path"),
    "position_based": N_("Position-based"), "time_decay": N_("Time decay"), "shapley": N_("Shapley value"),
    "markov": N_("Markov chain"),
}  # fmt: skip
RETURNS = {"margin": N_("margin"), "invoiced": N_("invoiced"), "booked": N_("booked")}
# What changed may be told of these, and of figures of reports.
_BESIDE = {
    "group": GROUPS,
    "step": STEPS,
    "duration": DURATIONS,
    "kind": KINDS,
    "figure": FIGURES,
    "return": RETURNS,
    "model": MODELS,
}


def called(language: Language, what: str, name: str) -> str:
    """Return what something is called: a figure, group, step, duration, kind, return or model."""
    known = _BESIDE[what].get(name)
    if known is not None:
        return language.texts.gettext(known)
    words = name.rpartition(".")[2].replace("_", " ")
    return language.texts.gettext(words[:1].upper() + words[1:])
