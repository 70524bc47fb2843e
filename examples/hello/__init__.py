"""Two small flows: steps in a line, and branches that are joined."""
