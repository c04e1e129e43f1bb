"""products."""

from eitherdb.migrations import Access, AddResource, FieldSpec, ResourceSpec

HISTORY = "declared"

OPERATIONS = (
    AddResource(
        ResourceSpec(
            name="products",
            path="products",
            entity="product",
            class_name="Product",
            title="A product of one's own.",
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
                FieldSpec(
                    name="sku",
                    column="sku",
                    kind="text",
                    max_length=20,
                    filterable=True,
                ),
                FieldSpec(
                    name="description",
                    column="description",
                    kind="text",
                    nullable=True,
                    required=False,
                    max_length=500,
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
                    name="stock",
                    column="stock",
                    kind="integer",
                    required=False,
                    default=0,
                    minimum=0,
                    maximum=9007199254740991,
                    sortable=True,
                ),
                FieldSpec(
                    name="weight",
                    column="weight",
                    kind="float",
                    required=False,
                    default=0.0,
                    minimum=0.0,
                ),
                FieldSpec(
                    name="is_active",
                    column="is_active",
                    kind="boolean",
                    required=False,
                    default=True,
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
                    name="released_on",
                    column="released_on",
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
                    max_length=10,
                    item=FieldSpec(name="item", column="item", kind="text", max_length=30),
                ),
            ),
            unique=(),
            owned=True,
            access=Access(read="owner", create="signed_in", change="owner", delete="owner"),
        ),
    ),
)
