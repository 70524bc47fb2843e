"""A user's story, through the command line and Python, on whole installations."""
