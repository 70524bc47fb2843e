"""Flight delays: a model trained, used and published day by day, two variants side by side."""
