"""Components: facts that hang together, one kind per module that has a `KIND`, and how they are folded."""
