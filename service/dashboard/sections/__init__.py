"""Parts of screens that several have: each reads what it shows, and its template has its name."""
