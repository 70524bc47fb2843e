"""One suite a port; every backend passes it."""
