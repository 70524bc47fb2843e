"""Real services on real servers, killed, stopped and cut off at random; then their history."""
