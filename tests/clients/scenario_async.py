"""The scenario with the asynchronous calls of the Python client."""

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


async def run_scenario(url: str, email: str, password: str) -> dict[str, object]:
    """Run the scenario and return the results."""
    async with AuthenticatedClient(url, token="", prefix="") as client:
        without_token = error_of(await items_read_items.asyncio_detailed(client=client))
    async with Client(url) as anyone:
        results, token = await _sign_in(anyone, email, password)
    async with AuthenticatedClient(url, token) as client:
        return results | {"without_token": without_token} | await _use_items(client)


async def _sign_in(anyone: Client, email: str, password: str) -> tuple[dict[str, object], str]:
    results: dict[str, object] = {}
    account = UserRegister(email=email, password=password, full_name="Ada Lovelace")
    user = got(UserPublic, await users_register_user.asyncio(client=anyone, body=account))
    results["signed_up"] = {
        "email": user.email,
        "full_name": user.full_name,
        "is_superuser": user.is_superuser,
    }
    results["signed_up_again"] = error_of(
        await users_register_user.asyncio_detailed(client=anyone, body=account)
    )

    form = BodyLoginLoginAccessToken(username=email, password=f"not the {password}")
    results["wrong_password"] = error_of(
        await login_login_access_token.asyncio_detailed(client=anyone, body=form)
    )
    form.password = password
    return results, got(
        Token, await login_login_access_token.asyncio(client=anyone, body=form)
    ).access_token


async def _use_items(client: AuthenticatedClient) -> dict[str, object]:
    results: dict[str, object] = {}
    invalid = got(
        HTTPValidationError, await items_create_item.asyncio(client=client, body=ItemCreate(title=""))
    )
    (fault,) = invalid.detail
    results["empty_title"] = {"code": invalid.code, "loc": fault.loc, "type": fault.type_}

    engine = ItemCreate(title="Analytical Engine", description="Weaves algebra")
    analytical = got(ItemPublic, await items_create_item.asyncio(client=client, body=engine))
    engine = ItemCreate(title="Difference Engine")
    difference = got(ItemPublic, await items_create_item.asyncio(client=client, body=engine))
    items = got(ItemsPublic, await items_read_items.asyncio(client=client))
    results |= {"titles": titles(items), "count": items.count}
    results["in_order_of_time"] = analytical.created_at < difference.created_at

    page = got(ItemsPublic, await items_read_items.asyncio(client=client, limit=1, count="none"))
    results["first_page"] = titles(page)
    page = got(
        ItemsPublic,
        await items_read_items.asyncio(client=client, limit=1, count="none", cursor=page.next_cursor),
    )
    results["second_page"] = {"titles": titles(page), "count": page.count, "next_cursor": page.next_cursor}

    for name, changes in (
        ("renamed", ItemUpdate(title="Loom")),
        ("without_description", ItemUpdate(description=None)),
    ):
        item = got(ItemPublic, await items_patch_item.asyncio(analytical.id, client=client, body=changes))
        results[name] = {"title": item.title, "description": item.description}

    results["deleted"] = got(Message, await items_delete_item.asyncio(analytical.id, client=client)).message
    results["deleted_again"] = error_of(
        await items_delete_item.asyncio_detailed(analytical.id, client=client)
    )
    results["left"] = titles(got(ItemsPublic, await items_read_items.asyncio(client=client)))
    return results
