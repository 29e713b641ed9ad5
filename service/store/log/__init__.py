"""The event log: appended to in one place, never changed, read by position, by identity and by what the engine remembers."""
