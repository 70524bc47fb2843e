"""The object store: one contract (`port`), two backends (`local`, `s3`), what is kept in it."""
