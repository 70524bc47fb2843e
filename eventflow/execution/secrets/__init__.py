"""Secrets of a task: fetched in its own process, right before its step runs, and kept nowhere."""
