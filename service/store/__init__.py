"""PostgreSQL: the log, the ledgers and their keys, the quarantine, and the embedded server."""
