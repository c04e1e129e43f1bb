from typing import Literal

UsersReadUsersSort = Literal["-created_at", "-email", "created_at", "email"]

USERS_READ_USERS_SORT_VALUES: set[UsersReadUsersSort] = {
    "-created_at",
    "-email",
    "created_at",
    "email",
}


def check_users_read_users_sort(value: str) -> UsersReadUsersSort:
    if value in USERS_READ_USERS_SORT_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {USERS_READ_USERS_SORT_VALUES!r}")
