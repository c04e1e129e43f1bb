"""library."""

from eitherdb.migrations import Access, AddResource, FieldSpec, ResourceSpec

HISTORY = "library"

OPERATIONS = (
    AddResource(
        ResourceSpec(
            name="authors",
            path="authors",
            entity="author",
            class_name="Author",
            title="Somebody who writes books. Everybody who is signed in reads them; superusers change them.",
            fields=(
                FieldSpec(
                    name="name",
                    column="name",
                    kind="text",
                    min_length=1,
                    max_length=100,
                    sortable=True,
                    searchable=True,
                ),
            ),
            unique=(),
            owned=False,
            access=Access(
                read="signed_in",
                create="superuser",
                change="superuser",
                delete="superuser",
            ),
        ),
    ),
    AddResource(
        ResourceSpec(
            name="books",
            path="books",
            entity="book",
            class_name="Book",
            title="A book of one's own.",
            fields=(
                FieldSpec(
                    name="title",
                    column="title",
                    kind="text",
                    min_length=1,
                    max_length=255,
                    sortable=True,
                    searchable=True,
                ),
                FieldSpec(
                    name="isbn",
                    column="isbn",
                    kind="text",
                    max_length=13,
                    pattern="^[0-9]{13}$",
                    filterable=True,
                ),
                FieldSpec(
                    name="author_id",
                    column="author_id",
                    kind="reference",
                    min_length=24,
                    max_length=24,
                    target="authors",
                    on_delete="restrict",
                    filterable=True,
                ),
                FieldSpec(
                    name="price",
                    column="price",
                    kind="decimal",
                    minimum="0.00",
                    maximum="9999999999.99",
                    max_digits=12,
                    decimal_places=2,
                    sortable=True,
                    filterable=True,
                ),
                FieldSpec(
                    name="state",
                    column="state",
                    kind="choice",
                    required=False,
                    default="draft",
                    max_length=9,
                    choices=("draft", "published"),
                    filterable=True,
                ),
                FieldSpec(
                    name="published_on",
                    column="published_on",
                    kind="date",
                    nullable=True,
                    required=False,
                ),
                FieldSpec(
                    name="tags",
                    column="tags",
                    kind="list",
                    required=False,
                    default=[],
                    max_length=20,
                    item=FieldSpec(name="item", column="item", kind="text", max_length=30),
                    filterable=True,
                ),
            ),
            unique=(("owner_id", "isbn"),),
            owned=True,
            access=Access(read="owner", create="signed_in", change="owner", delete="owner"),
            has_rules=True,
        ),
    ),
)
