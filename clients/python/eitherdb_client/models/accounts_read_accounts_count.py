from typing import Literal

AccountsReadAccountsCount = Literal["exact", "none"]

ACCOUNTS_READ_ACCOUNTS_COUNT_VALUES: set[AccountsReadAccountsCount] = {
    "exact",
    "none",
}


def check_accounts_read_accounts_count(value: str) -> AccountsReadAccountsCount:
    if value in ACCOUNTS_READ_ACCOUNTS_COUNT_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {ACCOUNTS_READ_ACCOUNTS_COUNT_VALUES!r}")
