from typing import Literal

ItemsReadItemsCount = Literal["exact", "none"]

ITEMS_READ_ITEMS_COUNT_VALUES: set[ItemsReadItemsCount] = {
    "exact",
    "none",
}


def check_items_read_items_count(value: str) -> ItemsReadItemsCount:
    if value in ITEMS_READ_ITEMS_COUNT_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {ITEMS_READ_ITEMS_COUNT_VALUES!r}")
