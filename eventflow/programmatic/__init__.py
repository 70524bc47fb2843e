"""The command line of a flow as Python objects: `Runner` runs it, `Deployer` makes it live.

The code of a flow runs in processes of its own; nothing of it is imported here. The synchronous
methods use neither threads nor an event loop, so that they work in a notebook too.
"""
