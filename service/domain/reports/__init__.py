"""Reports: what entities post for each, and how its figures are made of that; one module per report that has a `REPORT`."""
