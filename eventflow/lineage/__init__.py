"""Lineage: what led to something, and what came of it, from the store alone.

    event ⇄ run ⇄ artifact, and run ⇄ completion ⇄ downstream run

Every question is answered by keys that were written for it (docs/protocols.md §7): what it costs
grows with its answer, not with history.
"""

from eventflow.lineage.node import Lineage, Node, NodeKind
from eventflow.lineage.tracing import downstream, lineage_of, upstream

__all__ = ["Lineage", "Node", "NodeKind", "downstream", "lineage_of", "upstream"]
