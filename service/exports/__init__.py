"""Exports: tables of answers as files that other programs read. Columns and their types come from declarations, in one place.

`columns` says what a table is, `tables` which columns there are of reports, entries and events; `csv`, `xlsx`, `parquet` and
`documents` write them, `spool` holds what is written until it has been sent.
"""
