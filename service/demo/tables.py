"""What the demo portfolio is made of: one row per campaign, and how often and how fast things happen.

Change a row and the story changes; `portfolio.py` only tells it.
"""

from typing import NamedTuple


class Campaign(NamedTuple):
    """One campaign. Shares are of the step before; `cost` is per active month, `deal` the median order in EUR."""

    campaign_id: str
    name: str
    type: str
    channel: str
    source: str
    medium: str
    magnet: str | None
    activity: str
    currency: str
    cost: int
    months: tuple[int, ...]  # the calendar months in which it runs
    leads: float  # share of all leads
    qualified: float
    opened: float
    won: float
    deal: int
    cogs_known: float  # share of its invoices that state their cost of goods


class Rep(NamedTuple):
    """One of the people in sales."""

    rep_id: str
    team: str
    region: str


ALL = tuple(range(1, 13))

CAMPAIGNS = (
    Campaign("CMP-FAIR", "Industry fairs", "trade_fair", "event", "industry-fair", "booth", "fair-voucher",
             "trade fair", "EUR", 88000, (4, 10), 0.06, 0.60, 0.50, 0.33, 38000, 1.0),
    Campaign("CMP-NEWS", "Newsletter", "newsletter", "email", "newsletter", "email", None,
             "newsletter", "EUR", 1600, ALL, 0.13, 0.50, 0.42, 0.33, 9000, 1.0),
    Campaign("CMP-SEARCH", "Paid search", "paid_search", "paid search", "google", "cpc", "cost-calculator",
             "search ad", "EUR", 9200, ALL, 0.16, 0.42, 0.40, 0.28, 10500, 1.0),
    Campaign("CMP-SOCIAL", "Paid social", "paid_social", "paid social", "linkedin", "cpc", "trend-report",
             "social ad", "USD", 5600, ALL, 0.12, 0.30, 0.34, 0.25, 12000, 1.0),
    Campaign("CMP-WEBINAR", "Webinar series", "webinar", "webinar", "website", "webinar", "webinar-seat",
             "webinar", "EUR", 3400, ALL, 0.10, 0.55, 0.38, 0.27, 13000, 1.0),
    Campaign("CMP-PAPER", "White papers", "content", "content", "website", "download", "white-paper",
             "white paper", "EUR", 2600, ALL, 0.11, 0.34, 0.33, 0.24, 12000, 1.0),
    Campaign("CMP-REFER", "Customers recommend", "referral", "referral", "customer", "referral", None,
             "referral", "EUR", 2900, ALL, 0.05, 0.68, 0.55, 0.42, 13500, 1.0),
    Campaign("CMP-MAIL", "Direct mail", "direct_mail", "print", "mailing", "letter", "sample-box",
             "mailing", "EUR", 9800, (2, 5, 9, 11), 0.04, 0.32, 0.33, 0.25, 10000, 1.0),
    Campaign("CMP-PARTNER", "Partner programme UK", "partner", "partner", "partner-uk", "co-marketing", None,
             "partner event", "GBP", 4200, ALL, 0.05, 0.58, 0.48, 0.34, 17000, 0.35),
    Campaign("CMP-TV", "TV spot", "tv", "tv", "tv-news", "spot", None,
             "tv spot", "EUR", 34000, (3, 11), 0.04, 0.22, 0.28, 0.20, 10500, 1.0),
    Campaign("CMP-RETARGET", "Retargeting", "retargeting", "display", "ad-network", "display", None,
             "display ad", "EUR", 1900, ALL, 0.05, 0.44, 0.40, 0.28, 9000, 1.0),
    Campaign("CMP-BRAND", "Brand and organic", "brand", "organic search", "google", "organic", "product-guide",
             "website", "EUR", 2700, ALL, 0.09, 0.48, 0.42, 0.30, 11000, 1.0),
)  # fmt: skip

# The campaigns that reach people who are known already.
NEWSLETTER, RETARGETING = (next(one for one in CAMPAIGNS if one.type == name) for name in ("newsletter", "retargeting"))

# How busy a month is. A quiet summer, no deals between the years.
SEASON = {1: 0.95, 2: 1.05, 3: 1.2, 4: 1.05, 5: 1.0, 6: 1.0, 7: 0.7, 8: 0.6, 9: 1.25, 10: 1.2, 11: 1.15, 12: 0.6}
MONTHS = 24
GROWTH = 0.012  # more leads, month by month
WEEKEND = 0.2  # of what a weekday brings

REPS = (
    Rep("REP-BECKER", "Enterprise", "DACH"), Rep("REP-HOFFMANN", "Mid-market", "DACH"),
    Rep("REP-KLEIN", "Mid-market", "DACH"), Rep("REP-MORETTI", "Mid-market", "South"),
    Rep("REP-NIELSEN", "Enterprise", "Nordics"), Rep("REP-OWENS", "Enterprise", "UK"),
    Rep("REP-PATEL", "Mid-market", "UK"), Rep("REP-WEBER", "Inside sales", "DACH"),
)  # fmt: skip

# The people in service, each with how well they are rated.
AGENTS = (("AGENT-FISCHER", 0.4), ("AGENT-KAUR", 0.2), ("AGENT-LINDQVIST", 0.0), ("AGENT-ROSSI", -0.5))

# How probable a deal is at which stage, in the order of the stages.
STAGES = {"qualification": 0.2, "proposal": 0.4, "negotiation": 0.65}

# How likely it is that something happens, where the campaign does not say so itself.
CHANCE = {
    "late": 0.05, "sent again": 0.02,
    "cost reversed": 0.06, "reversed in full": 0.3, "cost booked twice": 0.03,
    "lead unattributed": 0.03, "account known": 0.18, "lead reassigned": 0.015, "reassigned to none": 0.15,
    "lead merged": 0.01, "lead followed up": 0.55, "lead called": 0.15, "handed over": 0.45, "handover accepted": 0.85,
    "also sql": 0.25, "disqualified": 0.2, "disqualified reopened": 0.05,
    "earlier touch": 0.15, "touch at capture": 0.45, "later touch": 0.08,
    "touch by a bot": 0.003, "touch suppressed": 0.004,
    "two leads": 0.08, "stage moves on": 0.75, "value changed": 0.15, "quoted": 0.85, "still open": 0.08,
    "accepted in writing": 0.92, "rejected in writing": 0.6, "lost reopened": 0.1, "won after all": 0.4,
    "order amended": 0.08, "order cancelled": 0.05, "repeat order": 0.35, "repeat is marked": 0.4, "says new": 0.7,
    "two invoices": 0.2, "credited": 0.07, "credited in full": 0.2, "invoice cancelled": 0.025, "paid": 0.92,
    "touched again": 0.4, "touched now and then": 0.1, "quick answer": 0.55, "deal worked on": 0.46,
    "by contact": 0.4, "email allowed": 0.72, "phone allowed": 0.45, "withdrawn": 0.12, "has a phone": 0.7,
    "case": 0.45, "another case": 0.4, "resolved": 0.93, "case reopened": 0.06, "rated": 0.6, "part paid": 0.45,
    "renewed": 0.78, "churned": 0.8,
}  # fmt: skip

# The mean number of days until it does.
DAYS = {
    "late": 25, "cost booked": 4, "cost reversed": 20, "reassigned": 20, "merged": 12, "followed up": 0.8, "called": 3,
    "qualified": 6, "handed over": 1.5, "sql": 8, "disqualified": 12, "earlier touch": 25, "later touch": 20,
    "opened": 9, "stage": 10, "quoted": 12, "decided": 24, "lost": 30, "reopened": 45, "ordered": 3, "amended": 6,
    "cancelled": 9, "invoiced": 14, "second invoice": 30, "credited": 28, "paid": 24, "repeat": 150,
    "touched again": 30, "quick answer": 0.1, "worked on": 7, "withdrawn": 200, "case": 70, "resolved": 0.9,
    "case reopened": 5, "rated": 1, "part paid": 45,
}  # fmt: skip

# From which system an event comes, by the first name that its type starts with.
SOURCES = {
    "campaign.cost": "/erp/business-central", "campaign.budget": "/erp/business-central",
    "order.": "/erp/business-central", "invoice.": "/erp/business-central", "payment.": "/erp/business-central",
    "campaign.": "/marketing/automation", "touchpoint.": "/marketing/automation", "call.": "/telephony/pbx",
    "case.": "/service/desk", "csat.": "/service/desk",
    "fx.": "/feeds/ecb", "": "/crm/dynamics",
}  # fmt: skip
