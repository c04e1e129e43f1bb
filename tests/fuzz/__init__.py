"""Generated calls of every operation, against a running server on every database."""

# Here, because the hooks import schemathesis, which no test process needs.
TOKEN_URL = "FUZZ_TOKEN_URL"
"""The environment variable with the URL that answers with a token; without it nobody is signed in."""
