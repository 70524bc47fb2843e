"""What authors touch: flows and their steps, decorators, parameters, `current`, events.

Reads flows as their authors wrote them, and says every mistake with file and line. Compiles them
to model: a graph, parameters, a trigger. Executes nothing.
"""
