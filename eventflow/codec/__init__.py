"""Records ⇄ Avro bytes."""
