"""The real servers that the tests run against: where they come from, how they live and die."""
