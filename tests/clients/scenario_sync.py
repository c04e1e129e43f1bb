"""The scenario with the synchronous calls of the Python client."""

from __future__ import annotations

from eitherdb_client import AuthenticatedClient, Client
from eitherdb_client.api.items import (
    items_create_item,
    items_delete_item,
    items_patch_item,
    items_read_items,
)
from eitherdb_client.api.login import login_login_access_token
from eitherdb_client.api.users import users_register_user
from eitherdb_client.models import (
    BodyLoginLoginAccessToken,
    HTTPValidationError,
    ItemCreate,
    ItemPublic,
    ItemsPublic,
    ItemUpdate,
    Message,
    Token,
    UserPublic,
    UserRegister,
)

from tests.clients.responses import error_of, got, titles


def run_scenario(url: str, email: str, password: str) -> dict[str, object]:
    """Run the scenario and return the results."""
    with AuthenticatedClient(url, token="", prefix="") as client:
        without_token = error_of(items_read_items.sync_detailed(client=client))
    with Client(url) as anyone:
        results, token = _sign_in(anyone, email, password)
    with AuthenticatedClient(url, token) as client:
        return results | {"without_token": without_token} | _use_items(client)


def _sign_in(anyone: Client, email: str, password: str) -> tuple[dict[str, object], str]:
    results: dict[str, object] = {}
    account = UserRegister(email=email, password=password, full_name="Ada Lovelace")
    user = got(UserPublic, users_register_user.sync(client=anyone, body=account))
    results["signed_up"] = {
        "email": user.email,
        "full_name": user.full_name,
        "is_superuser": user.is_superuser,
    }
    results["signed_up_again"] = error_of(users_register_user.sync_detailed(client=anyone, body=account))

    form = BodyLoginLoginAccessToken(username=email, password=f"not the {password}")
    results["wrong_password"] = error_of(login_login_access_token.sync_detailed(client=anyone, body=form))
    form.password = password
    return results, got(Token, login_login_access_token.sync(client=anyone, body=form)).access_token


def _use_items(client: AuthenticatedClient) -> dict[str, object]:
    results: dict[str, object] = {}
    invalid = got(HTTPValidationError, items_create_item.sync(client=client, body=ItemCreate(title="")))
    (fault,) = invalid.detail
    results["empty_title"] = {"code": invalid.code, "loc": fault.loc, "type": fault.type_}

    engine = ItemCreate(title="Analytical Engine", description="Weaves algebra")
    analytical = got(ItemPublic, items_create_item.sync(client=client, body=engine))
    engine = ItemCreate(title="Difference Engine")
    difference = got(ItemPublic, items_create_item.sync(client=client, body=engine))
    items = got(ItemsPublic, items_read_items.sync(client=client))
    results |= {"titles": titles(items), "count": items.count}
    results["in_order_of_time"] = analytical.created_at < difference.created_at

    page = got(ItemsPublic, items_read_items.sync(client=client, limit=1, count="none"))
    results["first_page"] = titles(page)
    page = got(
        ItemsPublic,
        items_read_items.sync(client=client, limit=1, count="none", cursor=page.next_cursor),
    )
    results["second_page"] = {"titles": titles(page), "count": page.count, "next_cursor": page.next_cursor}

    for name, changes in (
        ("renamed", ItemUpdate(title="Loom")),
        ("without_description", ItemUpdate(description=None)),
    ):
        item = got(ItemPublic, items_patch_item.sync(analytical.id, client=client, body=changes))
        results[name] = {"title": item.title, "description": item.description}

    results["deleted"] = got(Message, items_delete_item.sync(analytical.id, client=client)).message
    results["deleted_again"] = error_of(items_delete_item.sync_detailed(analytical.id, client=client))
    results["left"] = titles(got(ItemsPublic, items_read_items.sync(client=client)))
    return results
