"""The nouns and the decisions: pure data and pure functions, no I/O, no clock, no threads."""
