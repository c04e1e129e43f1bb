"""The scenario, told by the Python client's asynchronous calls."""

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

from tests.clients.answers import got, refusal, titles


async def tell(url: str, email: str, password: str) -> dict[str, object]:
    """Return what was seen."""
    async with AuthenticatedClient(url, token="", prefix="") as client:
        without_token = refusal(await items_read_items.asyncio_detailed(client=client))
    async with Client(url) as anyone:
        told, token = await _sign_in(anyone, email, password)
    async with AuthenticatedClient(url, token) as client:
        return told | {"without_token": without_token} | await _use_items(client)


async def _sign_in(anyone: Client, email: str, password: str) -> tuple[dict[str, object], str]:
    told: dict[str, object] = {}
    account = UserRegister(email=email, password=password, full_name="Ada Lovelace")
    user = got(UserPublic, await users_register_user.asyncio(client=anyone, body=account))
    told["signed_up"] = {
        "email": user.email,
        "full_name": user.full_name,
        "is_superuser": user.is_superuser,
    }
    told["signed_up_again"] = refusal(
        await users_register_user.asyncio_detailed(client=anyone, body=account)
    )

    form = BodyLoginLoginAccessToken(username=email, password=f"not the {password}")
    told["wrong_password"] = refusal(
        await login_login_access_token.asyncio_detailed(client=anyone, body=form)
    )
    form.password = password
    return told, got(Token, await login_login_access_token.asyncio(client=anyone, body=form)).access_token


async def _use_items(client: AuthenticatedClient) -> dict[str, object]:
    told: dict[str, object] = {}
    invalid = got(
        HTTPValidationError, await items_create_item.asyncio(client=client, body=ItemCreate(title=""))
    )
    (fault,) = invalid.detail
    told["empty_title"] = {"code": invalid.code, "loc": fault.loc, "type": fault.type_}

    engine = ItemCreate(title="Analytical Engine", description="Weaves algebra")
    analytical = got(ItemPublic, await items_create_item.asyncio(client=client, body=engine))
    engine = ItemCreate(title="Difference Engine")
    difference = got(ItemPublic, await items_create_item.asyncio(client=client, body=engine))
    items = got(ItemsPublic, await items_read_items.asyncio(client=client))
    told |= {"titles": titles(items), "count": items.count}
    told["in_order_of_time"] = analytical.created_at < difference.created_at

    page = got(ItemsPublic, await items_read_items.asyncio(client=client, limit=1, count="none"))
    told["first_page"] = titles(page)
    page = got(
        ItemsPublic,
        await items_read_items.asyncio(client=client, limit=1, count="none", cursor=page.next_cursor),
    )
    told["second_page"] = {"titles": titles(page), "count": page.count, "next_cursor": page.next_cursor}

    for name, changes in (
        ("renamed", ItemUpdate(title="Loom")),
        ("without_description", ItemUpdate(description=None)),
    ):
        item = got(ItemPublic, await items_patch_item.asyncio(analytical.id, client=client, body=changes))
        told[name] = {"title": item.title, "description": item.description}

    told["deleted"] = got(Message, await items_delete_item.asyncio(analytical.id, client=client)).message
    told["deleted_again"] = refusal(await items_delete_item.asyncio_detailed(analytical.id, client=client))
    told["left"] = titles(got(ItemsPublic, await items_read_items.asyncio(client=client)))
    return told
