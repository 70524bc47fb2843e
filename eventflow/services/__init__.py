"""The trigger service and the runner. They never import each other: they meet on the bus."""
