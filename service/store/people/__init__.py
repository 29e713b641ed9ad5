"""People: the keys that what is said of them is sealed with, and how they are forgotten."""
