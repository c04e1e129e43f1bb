"""Generated calls of every operation, against a running server on every database."""

# Defined here, because the hooks import schemathesis, which test processes don't need.
TOKEN_URL = "FUZZ_TOKEN_URL"
"""The environment variable with the URL that returns a token; without it calls are unauthenticated."""
