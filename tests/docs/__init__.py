"""The documents are true: their code runs, and their lists are those of the code."""
