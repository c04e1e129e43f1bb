"""What the routes of a user's `routers` import: the dependencies of EitherDB's own routes.

`eitherdb` itself does not import this module, so that declarations without routes don't load FastAPI.
"""

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from fastapi import Depends

from api.deps import AppSettings, owner_scope, repository_of
from api.deps import PublicSuperuser as Superuser
from api.deps import PublicUser as CurrentUser
from api.schemas import UserPublic
from backends.models.resources import DeclarationError
from backends.protocols import ResourceRepository

__all__ = ["AppSettings", "CurrentUser", "Repository", "Superuser", "UserPublic", "owner_scope"]

if TYPE_CHECKING:
    Repository: TypeAlias = ResourceRepository
else:

    class Repository:
        """The repository of a resource, as a parameter of a route: `books: Repository[Book]`."""

        def __class_getitem__(cls, resource: Any) -> Any:
            """Return the annotation for a resource."""
            if not isinstance(resource, type) or "__resource__" not in vars(resource):
                shown = getattr(resource, "__name__", repr(resource))
                raise DeclarationError(
                    f"Repository[{shown}]", "it is no resource", "name a class that is declared: Book"
                )
            return Annotated[ResourceRepository[resource], Depends(repository_of(resource))]
