"""Reports: what is read of the sums, each answer from one moment of the database, and explained down to its events."""
