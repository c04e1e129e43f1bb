"""The REST API: routes that depend on the repository protocols and know no database."""
