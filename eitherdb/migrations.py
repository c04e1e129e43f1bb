"""What the revisions of declared resources import: the operations and the specifications."""

from backends.models.resources import Access, FieldSpec, ResourceSpec
from migrations.resources.operations import AddResource

__all__ = ["Access", "AddResource", "FieldSpec", "ResourceSpec"]
