from typing import Literal

ItemsReadItemsSort = Literal["-created_at", "-title", "created_at", "title"]

ITEMS_READ_ITEMS_SORT_VALUES: set[ItemsReadItemsSort] = {
    "-created_at",
    "-title",
    "created_at",
    "title",
}


def check_items_read_items_sort(value: str) -> ItemsReadItemsSort:
    if value in ITEMS_READ_ITEMS_SORT_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {ITEMS_READ_ITEMS_SORT_VALUES!r}")
