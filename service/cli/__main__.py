"""Lets `python -m service.cli` do what `campaign-ledger` does."""

from service.cli import main

main()
