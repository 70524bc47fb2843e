"""The environments that steps with packages of their own run in.

Flow: `request` says what is wanted → `lock` has the versions decided, once a project, in the store
→ `building` installs them, once a machine, into the cache → `builders` has that done in processes
of its own, so that an executor never waits. `uv` is the installer; only `uv.py` knows it.
"""
