"""Other people's tools and their names. Each is optional, and nothing of eventflow imports them.

`ArgoEvent` stands here too, so that `from eventflow.integrations import ArgoEvent` is all that a
flow of Metaflow changes.
"""

from eventflow.integrations.argo import ArgoEvent, ArgoEventException

__all__ = ["ArgoEvent", "ArgoEventException"]
