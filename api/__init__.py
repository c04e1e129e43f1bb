"""The REST API. Its routes depend on the repository protocols and know no database."""
