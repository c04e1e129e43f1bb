from typing import Literal

TransfersReadTransfersSort = Literal["-created_at", "created_at"]

TRANSFERS_READ_TRANSFERS_SORT_VALUES: set[TransfersReadTransfersSort] = {
    "-created_at",
    "created_at",
}


def check_transfers_read_transfers_sort(value: str) -> TransfersReadTransfersSort:
    if value in TRANSFERS_READ_TRANSFERS_SORT_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {TRANSFERS_READ_TRANSFERS_SORT_VALUES!r}")
