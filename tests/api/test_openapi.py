"""The OpenAPI document, from which clients are generated: names, schemas, documented errors."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from api.app import create_app
from tests.api.responses import (
    ACCOUNT_NOT_EMPTY,
    ACCOUNT_NOT_FOUND,
    BODY_TOO_LARGE,
    CONFLICT,
    EMAIL_TAKEN,
    EMAIL_TAKEN_AT_CREATE,
    EMAIL_TAKEN_AT_SIGNUP,
    HEADERS_TOO_LARGE,
    INACTIVE_USER,
    INCORRECT_LOGIN,
    INCORRECT_PASSWORD,
    INSUFFICIENT_FUNDS,
    INTERNAL_ERROR,
    INVALID_RESET_TOKEN,
    INVALID_TOKEN,
    ITEM_NOT_FOUND,
    MAIL_RECIPIENT_NOT_FOUND,
    NO_TRANSACTIONS,
    NOT_AUTHENTICATED,
    NOT_OWNER,
    NOT_PRIVILEGED,
    QUERY_TOO_LONG,
    SAME_PASSWORD,
    SELF_DELETION,
    TOO_BUSY,
    TOO_MANY_ATTEMPTS,
    TRANSFER_NOT_FOUND,
    UNAVAILABLE,
    USER_HAS_MONEY,
    USER_NOT_FOUND,
    USER_TO_CHANGE_NOT_FOUND,
    VERSION_MISMATCH,
    Refusal,
)
from tests.api.routes import OPEN, PROTECTED
from tests.provision import make_settings

PREFIX = "/api/v1"
OPERATIONS = {
    **{
        (route.method.lower(), PREFIX + route.path.replace("{empty_", "{")): route.operation
        for route in (*PROTECTED, *OPEN)
    },
    ("post", f"{PREFIX}/login/access-token"): "login-login_access_token",
    ("post", f"{PREFIX}/password-recovery/{{email}}"): "login-recover_password",
    ("post", f"{PREFIX}/reset-password/"): "login-reset_password",
    ("get", f"{PREFIX}/utils/health-check/"): "utils-health_check",
}

ALWAYS = {
    BODY_TOO_LARGE,
    QUERY_TOO_LONG,
    HEADERS_TOO_LARGE,
    INTERNAL_ERROR,
    UNAVAILABLE,
    CONFLICT,
    TOO_BUSY,
}
TOKEN = {NOT_AUTHENTICATED, INVALID_TOKEN, USER_NOT_FOUND, INACTIVE_USER}
ONE_ITEM = TOKEN | {ITEM_NOT_FOUND, NOT_OWNER}
ONE_ACCOUNT = TOKEN | {ACCOUNT_NOT_FOUND, NOT_OWNER}
CHANGE_OF_ITEM = ONE_ITEM | {VERSION_MISMATCH}
ERRORS: dict[str, set[Refusal]] = {
    "login-login_access_token": {INCORRECT_LOGIN, INACTIVE_USER, TOO_MANY_ATTEMPTS},
    "login-test_token": TOKEN,
    "login-recover_password": {TOO_MANY_ATTEMPTS},
    "login-reset_password": {INVALID_RESET_TOKEN, INACTIVE_USER},
    "login-recover_password_html_content": TOKEN | {NOT_PRIVILEGED, MAIL_RECIPIENT_NOT_FOUND},
    "utils-test_email": TOKEN | {NOT_PRIVILEGED},
    "users-read_users": TOKEN | {NOT_PRIVILEGED},
    "users-create_user": TOKEN | {NOT_PRIVILEGED, EMAIL_TAKEN_AT_CREATE},
    "users-register_user": {EMAIL_TAKEN_AT_SIGNUP},
    "users-read_user_me": TOKEN,
    "users-update_user_me": TOKEN | {EMAIL_TAKEN, VERSION_MISMATCH},
    "users-update_password_me": TOKEN
    | {INCORRECT_PASSWORD, SAME_PASSWORD, VERSION_MISMATCH, TOO_MANY_ATTEMPTS},
    "users-logout_everywhere": TOKEN,
    "users-delete_user_me": TOKEN | {SELF_DELETION, VERSION_MISMATCH, USER_HAS_MONEY, NO_TRANSACTIONS},
    "users-read_user_by_id": TOKEN | {NOT_PRIVILEGED, USER_NOT_FOUND},
    "users-update_user": TOKEN | {NOT_PRIVILEGED, USER_TO_CHANGE_NOT_FOUND, EMAIL_TAKEN, VERSION_MISMATCH},
    "users-delete_user": TOKEN
    | {
        NOT_PRIVILEGED,
        SELF_DELETION,
        USER_NOT_FOUND,
        VERSION_MISMATCH,
        USER_HAS_MONEY,
        NO_TRANSACTIONS,
    },
    "items-read_items": TOKEN | {NOT_PRIVILEGED},
    "items-create_item": TOKEN | {NO_TRANSACTIONS},
    "items-create_items": TOKEN | {NO_TRANSACTIONS},
    "items-read_item": ONE_ITEM,
    "items-patch_item": CHANGE_OF_ITEM,
    "items-update_item": CHANGE_OF_ITEM,
    "items-delete_item": CHANGE_OF_ITEM,
    "accounts-read_accounts": TOKEN | {NOT_PRIVILEGED},
    "accounts-create_account": TOKEN | {NO_TRANSACTIONS},
    "accounts-read_account": ONE_ACCOUNT,
    "accounts-delete_account": ONE_ACCOUNT | {ACCOUNT_NOT_EMPTY, VERSION_MISMATCH},
    "accounts-create_deposit": TOKEN | {NOT_PRIVILEGED, ACCOUNT_NOT_FOUND, NO_TRANSACTIONS},
    "accounts-create_withdrawal": TOKEN
    | {NOT_PRIVILEGED, ACCOUNT_NOT_FOUND, INSUFFICIENT_FUNDS, NO_TRANSACTIONS},
    "accounts-read_statement": ONE_ACCOUNT,
    "transfers-read_transfers": TOKEN | {NOT_PRIVILEGED},
    "transfers-create_transfer": ONE_ACCOUNT | {INSUFFICIENT_FUNDS, NO_TRANSACTIONS},
    "transfers-read_transfer": TOKEN | {TRANSFER_NOT_FOUND, NOT_OWNER},
    "private-create_user": {EMAIL_TAKEN_AT_CREATE},
    "utils-health_check": set(),
}

# The template's names; a generated client imports them.
SCHEMAS = {
    "UserPublic": {"id", "email", "is_active", "is_superuser", "full_name", "created_at"},
    "UsersPublic": {"data", "count", "next_cursor"},
    "UserCreate": {"email", "password", "full_name", "is_active", "is_superuser"},
    "UserRegister": {"email", "password", "full_name"},
    "UserUpdate": {"email", "password", "full_name", "is_active", "is_superuser"},
    "UserUpdateMe": {"email", "full_name"},
    "UpdatePassword": {"current_password", "new_password"},
    "ItemPublic": {"id", "title", "description", "owner_id", "created_at"},
    "ItemsPublic": {"data", "count", "next_cursor"},
    "ItemCreate": {"title", "description"},
    "ItemsCreate": {"data"},
    "ItemsCreated": {"data", "count"},
    "ItemUpdate": {"title", "description"},
    "AccountPublic": {"id", "owner_id", "name", "currency", "balance_minor", "created_at"},
    "AccountsPublic": {"data", "count", "next_cursor"},
    "AccountCreate": {"name", "currency"},
    "EntryCreate": {"amount_minor", "note"},
    "TransferCreate": {"from_account_id", "to_account_id", "amount_minor", "note"},
    "TransferPublic": {
        *("id", "from_account_id", "to_account_id", "amount_minor", "note", "created_at"),
        "idempotency_key",
    },
    "TransfersPublic": {"data", "count", "next_cursor"},
    "StatementPublic": {"account", "count", "data"},
    "Message": {"message"},
    "NewPassword": {"token", "new_password"},
    "Token": {"access_token", "token_type"},
    "PrivateUserCreate": {"email", "password", "full_name", "is_verified"},
}
ANSWERS = {
    "login-login_access_token": "Token",
    "login-test_token": "UserPublic",
    "users-read_users": "UsersPublic",
    "login-recover_password": "Message",
    "login-reset_password": "Message",
    "utils-test_email": "Message",
    "users-logout_everywhere": "Message",
    "users-delete_user_me": "Message",
    "users-delete_user": "Message",
    "users-update_password_me": "Message",
    "items-read_items": "ItemsPublic",
    "items-create_items": "ItemsCreated",
    "items-delete_item": "Message",
    "accounts-read_accounts": "AccountsPublic",
    "accounts-delete_account": "Message",
    "accounts-create_deposit": "TransferPublic",
    "accounts-create_withdrawal": "TransferPublic",
    "accounts-read_statement": "StatementPublic",
    "transfers-read_transfers": "TransfersPublic",
}


@pytest.fixture(scope="module")
async def document() -> dict[str, Any]:
    """Return the document as a client gets it; no database is needed for it."""
    transport = httpx2.ASGITransport(create_app(make_settings()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://eitherdb.example") as client:
        answer = await client.get(f"{PREFIX}/openapi.json")
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the operations by their ids."""
    return {
        operation["operationId"]: operation
        for methods in document["paths"].values()
        for operation in methods.values()
    }


def schema_name(content: dict[str, Any]) -> str:
    """Return the name of the schema of a JSON body."""
    return str(content["content"]["application/json"]["schema"]["$ref"]).rpartition("/")[2]


def test_document_has_exactly_these_operations(document: dict[str, Any]) -> None:
    """Paths, methods and the names that generated clients call."""
    found = {
        (method, path): operation["operationId"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert found == OPERATIONS
    assert document["info"]["title"] == "EitherDB"


def test_document_names_the_schemas(document: dict[str, Any]) -> None:
    """Each schema of the contract with exactly its fields."""
    schemas = document["components"]["schemas"]
    found = {name: set(schemas[name]["properties"]) for name in SCHEMAS if name in schemas}
    assert found == SCHEMAS


def test_document_states_the_limits(document: dict[str, Any]) -> None:
    """What the API refuses for its length, a generated form can refuse before."""
    properties = {name: schema["properties"] for name, schema in document["components"]["schemas"].items()}
    password = properties["UserRegister"]["password"]
    assert (password["minLength"], password["maxLength"]) == (8, 128)
    bulk = properties["ItemsCreate"]["data"]
    assert (bulk["minItems"], bulk["maxItems"]) == (1, 1000)
    title = properties["ItemCreate"]["title"]
    assert (title["minLength"], title["maxLength"]) == (1, 255)
    assert properties["UserRegister"]["email"]["format"] == "email"
    assert properties["UserRegister"]["email"]["maxLength"] == 254
    assert properties["UserPublic"]["created_at"]["format"] == "date-time"
    assert properties["ItemPublic"]["created_at"]["format"] == "date-time"


def test_document_has_one_success_an_operation(document: dict[str, Any]) -> None:
    """200, but for the one that the contract excepts, with the schema that the contract names."""
    for name, operation in operations(document).items():
        success = "201" if name == "utils-test_email" else "200"
        assert [status for status in operation["responses"] if status < "300"] == [success]
        if name in {"utils-health_check", "login-recover_password_html_content"}:
            continue
        kinds = {"items": "ItemPublic", "accounts": "AccountPublic", "transfers": "TransferPublic"}
        kind = kinds.get(name.partition("-")[0], "UserPublic")
        assert schema_name(operation["responses"][success]) == ANSWERS.get(name, kind), name


def test_document_gives_an_example_of_every_error(document: dict[str, Any]) -> None:
    """Exactly the errors of the contract: status, text and code."""
    found = {
        name: {
            Refusal(int(status), example["value"]["detail"], example["value"]["code"])
            for status, response in operation["responses"].items()
            if status not in {"304", "422"} and status > "300"
            for example in response["content"]["application/json"]["examples"].values()
        }
        for name, operation in operations(document).items()
    }
    assert found == {name: errors | ALWAYS for name, errors in ERRORS.items()}


def test_document_names_the_headers_of_answers(document: dict[str, Any]) -> None:
    """What a client needs to wait, to sign in, or to show a mail."""
    of_status = {"401": {"WWW-Authenticate"}, "429": {"Retry-After"}, "503": {"Retry-After"}}
    for name, operation in operations(document).items():
        for status, response in operation["responses"].items():
            headers = set(response.get("headers", {})) - {"ETag"}
            if (name, status) == ("login-recover_password_html_content", "200"):
                assert headers == {"Subject"}
            else:
                assert headers == of_status.get(status, set()), (name, status)


def test_document_describes_errors_by_one_schema(document: dict[str, Any]) -> None:
    """`detail` and `code`, both texts, both always there."""
    for operation in operations(document).values():
        for status, response in operation["responses"].items():
            if status not in {"200", "201", "304", "422"}:
                assert schema_name(response) == "ErrorBody", operation["operationId"]
    schema = document["components"]["schemas"]["ErrorBody"]
    assert {name: field["type"] for name, field in schema["properties"].items()} == {
        "detail": "string",
        "code": "string",
    }
    assert set(schema["required"]) == {"detail", "code"}


def test_document_describes_the_validation_error_as_it_is(document: dict[str, Any]) -> None:
    """Like every error it has a `code`; of a fault there is always what the API sends of it."""
    schemas = document["components"]["schemas"]
    for name, operation in operations(document).items():
        takes_something = "requestBody" in operation or "parameters" in operation
        assert ("422" in operation["responses"]) is takes_something, name
        if takes_something:
            error = schemas[schema_name(operation["responses"]["422"])]
            assert set(error["properties"]) == set(error["required"]) == {"detail", "code"}
            fault = schemas[error["properties"]["detail"]["items"]["$ref"].rpartition("/")[2]]
            assert set(fault["required"]) == {"loc", "msg", "type"}


def test_document_says_which_operations_want_a_token(document: dict[str, Any]) -> None:
    """A generated client sends the token there, and knows where to get one."""
    schemes = document["components"]["securitySchemes"]
    flows = {name: scheme["flows"]["password"]["tokenUrl"] for name, scheme in schemes.items()}
    assert flows == {"OAuth2PasswordBearer": f"{PREFIX}/login/access-token"}
    secured = {name for name, operation in operations(document).items() if operation.get("security")}
    assert secured == {route.operation for route in PROTECTED}


def test_document_never_mentions_hashes(document: dict[str, Any]) -> None:
    """What never leaves is not described either."""
    assert "hash" not in str(document).lower()
