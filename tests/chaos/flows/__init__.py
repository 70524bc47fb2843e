"""The flows that run in the chaos."""
