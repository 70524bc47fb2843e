"""The real services in a simulated universe: one thread, deterministic by seed."""
