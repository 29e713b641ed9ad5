"""The demo: a believable marketing portfolio to look at before one's own data is there."""
