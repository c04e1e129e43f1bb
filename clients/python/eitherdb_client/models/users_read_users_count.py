from typing import Literal

UsersReadUsersCount = Literal["exact", "none"]

USERS_READ_USERS_COUNT_VALUES: set[UsersReadUsersCount] = {
    "exact",
    "none",
}


def check_users_read_users_count(value: str) -> UsersReadUsersCount:
    if value in USERS_READ_USERS_COUNT_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {USERS_READ_USERS_COUNT_VALUES!r}")
