"""How fast eventflow is, each figure beside its raw ceiling, measured in the same run.

`python -m benchmarks` (or `make bench`) prints a table and writes one JSON line a figure. A time
means little on its own: machines differ and are busy. The ratio to the ceiling is the figure.
"""
