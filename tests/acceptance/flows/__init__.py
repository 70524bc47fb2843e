"""Flows that the tests of this folder deploy."""
