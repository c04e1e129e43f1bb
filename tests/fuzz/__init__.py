"""Generated calls of every operation, against a running server on every database."""
