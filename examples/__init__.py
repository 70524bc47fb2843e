"""Programs to learn from; each folder has a README and is run by a test."""
