"""The routes and forms of resources, derived from their specifications.

- `names`: the names of operations and forms, and the words for a resource in documents and messages.
- `forms`: bodies, responses and list queries.
- `examples`: the examples in the OpenAPI document.
- `access`: who may call a route, and which rows the caller reaches.
- `problems`: the documented problems of the routes, and references to rows that do not exist.
- `routes`: the router of a resource.
"""

from api.resources.problems import with_references
from api.resources.routes import resource_router

__all__ = ["resource_router", "with_references"]
