from typing import Literal

HTTPValidationErrorCode = Literal[
    "balance_overflow", "currency_mismatch", "idempotency_key_reused", "validation_error"
]

HTTP_VALIDATION_ERROR_CODE_VALUES: set[HTTPValidationErrorCode] = {
    "balance_overflow",
    "currency_mismatch",
    "idempotency_key_reused",
    "validation_error",
}


def check_http_validation_error_code(value: str) -> HTTPValidationErrorCode:
    if value in HTTP_VALIDATION_ERROR_CODE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {HTTP_VALIDATION_ERROR_CODE_VALUES!r}")
