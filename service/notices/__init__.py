"""Notices: reports that are mailed, and alerts that are told when something changes, as a YAML file (`plan`) says.

They ask the API within this process (`service.api.inside`), so that a mail has what the API answers; `mail` and `webhook` carry
them.
"""
