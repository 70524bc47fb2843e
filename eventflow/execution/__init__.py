"""One run: its driver, its tasks, and the executors that tasks run on."""
