from typing import Literal

AccountsReadAccountsSort = Literal["-created_at", "-name", "created_at", "name"]

ACCOUNTS_READ_ACCOUNTS_SORT_VALUES: set[AccountsReadAccountsSort] = {
    "-created_at",
    "-name",
    "created_at",
    "name",
}


def check_accounts_read_accounts_sort(value: str) -> AccountsReadAccountsSort:
    if value in ACCOUNTS_READ_ACCOUNTS_SORT_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {ACCOUNTS_READ_ACCOUNTS_SORT_VALUES!r}")
