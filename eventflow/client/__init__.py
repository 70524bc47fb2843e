"""What was run and what it made, read from the store: flows, runs, steps, tasks, artifacts.

The objects are names: cheap to make, to compare and to pickle. Each question reads the store
anew, at a cost that does not grow with the history of the flow.
"""
