"""Sums: what postings add up to, stored so that reads need not add them up, and the SQL that asks for them."""
