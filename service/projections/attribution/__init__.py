"""Attribution: deals and touches as they were known at a position, and their money dealt to campaigns, on reading.

Reading order: `lines` (what is read), `merged`, `deals` (what it says, put together), `hands` (what each campaign has of a deal),
`dealing` (sums), `moves` (entries), `explained` (one deal).
"""
