"""Generated histories, sent over HTTP to every backend and to a model of the API."""
