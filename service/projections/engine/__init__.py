"""The engine: events become components, components contribute postings. Live and rebuilds run the same code."""
