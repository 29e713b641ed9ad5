"""Campaign Ledger: an accounting journal for marketing."""

__version__ = "0.1.0"
