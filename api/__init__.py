"""The REST API. Its routes depend on the repository protocols and know no database."""

from api.lean_imports import import_fastapi

# Before the first module of this package that imports FastAPI.
import_fastapi()
