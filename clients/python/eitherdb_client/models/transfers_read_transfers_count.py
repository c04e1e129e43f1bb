from typing import Literal

TransfersReadTransfersCount = Literal["exact", "none"]

TRANSFERS_READ_TRANSFERS_COUNT_VALUES: set[TransfersReadTransfersCount] = {
    "exact",
    "none",
}


def check_transfers_read_transfers_count(value: str) -> TransfersReadTransfersCount:
    if value in TRANSFERS_READ_TRANSFERS_COUNT_VALUES:
        return value
    raise TypeError(
        f"Unexpected value {value!r}. Expected one of {TRANSFERS_READ_TRANSFERS_COUNT_VALUES!r}"
    )
