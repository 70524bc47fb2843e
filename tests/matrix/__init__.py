"""Graphs and features: flows made of pieces, run as their user runs them, seen by the client."""
