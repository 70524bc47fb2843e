"""The durable partitioned log: one contract (`port`), two backends (`kafka`, `sqlite`)."""
