import datetime
from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error_body import ErrorBody
from ...models.http_validation_error import HTTPValidationError
from ...models.items_public import ItemsPublic
from ...models.items_read_items_count import (
    ItemsReadItemsCount,
)
from ...models.items_read_items_sort import (
    ItemsReadItemsSort,
)
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    skip: int | Unset = 0,
    limit: int | Unset = 100,
    cursor: None | str | Unset = UNSET,
    count: ItemsReadItemsCount | Unset = "exact",
    created_after: datetime.datetime | None | Unset = UNSET,
    created_before: datetime.datetime | None | Unset = UNSET,
    sort: ItemsReadItemsSort | Unset = "-created_at",
    title: list[str] | None | str | Unset = UNSET,
    q: None | str | Unset = UNSET,
    owner_id: None | str | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["skip"] = skip

    params["limit"] = limit

    json_cursor: None | str | Unset
    if isinstance(cursor, Unset):
        json_cursor = UNSET
    else:
        json_cursor = cursor
    params["cursor"] = json_cursor

    json_count: str | Unset = UNSET
    if not isinstance(count, Unset):
        json_count = count

    params["count"] = json_count

    json_created_after: None | str | Unset
    if isinstance(created_after, Unset):
        json_created_after = UNSET
    elif isinstance(created_after, datetime.datetime):
        json_created_after = created_after.isoformat()
    else:
        json_created_after = created_after
    params["created_after"] = json_created_after

    json_created_before: None | str | Unset
    if isinstance(created_before, Unset):
        json_created_before = UNSET
    elif isinstance(created_before, datetime.datetime):
        json_created_before = created_before.isoformat()
    else:
        json_created_before = created_before
    params["created_before"] = json_created_before

    json_sort: str | Unset = UNSET
    if not isinstance(sort, Unset):
        json_sort = sort

    params["sort"] = json_sort

    json_title: list[str] | None | str | Unset
    if isinstance(title, Unset):
        json_title = UNSET
    elif isinstance(title, list):
        json_title = title

    else:
        json_title = title
    params["title"] = json_title

    json_q: None | str | Unset
    if isinstance(q, Unset):
        json_q = UNSET
    else:
        json_q = q
    params["q"] = json_q

    json_owner_id: None | str | Unset
    if isinstance(owner_id, Unset):
        json_owner_id = UNSET
    else:
        json_owner_id = owner_id
    params["owner_id"] = json_owner_id

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/v1/items/",
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ErrorBody | HTTPValidationError | ItemsPublic | None:
    if response.status_code == 200:
        response_200 = ItemsPublic.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = ErrorBody.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = ErrorBody.from_dict(response.json())

        return response_401

    if response.status_code == 403:
        response_403 = ErrorBody.from_dict(response.json())

        return response_403

    if response.status_code == 404:
        response_404 = ErrorBody.from_dict(response.json())

        return response_404

    if response.status_code == 413:
        response_413 = ErrorBody.from_dict(response.json())

        return response_413

    if response.status_code == 414:
        response_414 = ErrorBody.from_dict(response.json())

        return response_414

    if response.status_code == 422:
        response_422 = HTTPValidationError.from_dict(response.json())

        return response_422

    if response.status_code == 431:
        response_431 = ErrorBody.from_dict(response.json())

        return response_431

    if response.status_code == 500:
        response_500 = ErrorBody.from_dict(response.json())

        return response_500

    if response.status_code == 503:
        response_503 = ErrorBody.from_dict(response.json())

        return response_503

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[ErrorBody | HTTPValidationError | ItemsPublic]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    skip: int | Unset = 0,
    limit: int | Unset = 100,
    cursor: None | str | Unset = UNSET,
    count: ItemsReadItemsCount | Unset = "exact",
    created_after: datetime.datetime | None | Unset = UNSET,
    created_before: datetime.datetime | None | Unset = UNSET,
    sort: ItemsReadItemsSort | Unset = "-created_at",
    title: list[str] | None | str | Unset = UNSET,
    q: None | str | Unset = UNSET,
    owner_id: None | str | Unset = UNSET,
) -> Response[ErrorBody | HTTPValidationError | ItemsPublic]:
    """Read Items

     List your own items, or all items as a superuser.

    Args:
        skip (int | Unset):  Default: 0.
        limit (int | Unset):  Default: 100.
        cursor (None | str | Unset): `next_cursor` of the previous page, with the same `sort`.
            Changes of the list do not shift it.
        count (ItemsReadItemsCount | Unset): `none` skips the count query. Default: 'exact'.
        created_after (datetime.datetime | None | Unset): Created after this time.
        created_before (datetime.datetime | None | Unset): Created before this time.
        sort (ItemsReadItemsSort | Unset): `-` for descending order. Default: '-created_at'.
        title (list[str] | None | str | Unset): The exact title.
        q (None | str | Unset): A part of the title or the description. Case is ignored.
        owner_id (None | str | Unset): The owner. Other owners than the caller are for superusers
            only.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | HTTPValidationError | ItemsPublic]
    """

    kwargs = _get_kwargs(
        skip=skip,
        limit=limit,
        cursor=cursor,
        count=count,
        created_after=created_after,
        created_before=created_before,
        sort=sort,
        title=title,
        q=q,
        owner_id=owner_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient,
    skip: int | Unset = 0,
    limit: int | Unset = 100,
    cursor: None | str | Unset = UNSET,
    count: ItemsReadItemsCount | Unset = "exact",
    created_after: datetime.datetime | None | Unset = UNSET,
    created_before: datetime.datetime | None | Unset = UNSET,
    sort: ItemsReadItemsSort | Unset = "-created_at",
    title: list[str] | None | str | Unset = UNSET,
    q: None | str | Unset = UNSET,
    owner_id: None | str | Unset = UNSET,
) -> ErrorBody | HTTPValidationError | ItemsPublic | None:
    """Read Items

     List your own items, or all items as a superuser.

    Args:
        skip (int | Unset):  Default: 0.
        limit (int | Unset):  Default: 100.
        cursor (None | str | Unset): `next_cursor` of the previous page, with the same `sort`.
            Changes of the list do not shift it.
        count (ItemsReadItemsCount | Unset): `none` skips the count query. Default: 'exact'.
        created_after (datetime.datetime | None | Unset): Created after this time.
        created_before (datetime.datetime | None | Unset): Created before this time.
        sort (ItemsReadItemsSort | Unset): `-` for descending order. Default: '-created_at'.
        title (list[str] | None | str | Unset): The exact title.
        q (None | str | Unset): A part of the title or the description. Case is ignored.
        owner_id (None | str | Unset): The owner. Other owners than the caller are for superusers
            only.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | HTTPValidationError | ItemsPublic
    """

    return sync_detailed(
        client=client,
        skip=skip,
        limit=limit,
        cursor=cursor,
        count=count,
        created_after=created_after,
        created_before=created_before,
        sort=sort,
        title=title,
        q=q,
        owner_id=owner_id,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    skip: int | Unset = 0,
    limit: int | Unset = 100,
    cursor: None | str | Unset = UNSET,
    count: ItemsReadItemsCount | Unset = "exact",
    created_after: datetime.datetime | None | Unset = UNSET,
    created_before: datetime.datetime | None | Unset = UNSET,
    sort: ItemsReadItemsSort | Unset = "-created_at",
    title: list[str] | None | str | Unset = UNSET,
    q: None | str | Unset = UNSET,
    owner_id: None | str | Unset = UNSET,
) -> Response[ErrorBody | HTTPValidationError | ItemsPublic]:
    """Read Items

     List your own items, or all items as a superuser.

    Args:
        skip (int | Unset):  Default: 0.
        limit (int | Unset):  Default: 100.
        cursor (None | str | Unset): `next_cursor` of the previous page, with the same `sort`.
            Changes of the list do not shift it.
        count (ItemsReadItemsCount | Unset): `none` skips the count query. Default: 'exact'.
        created_after (datetime.datetime | None | Unset): Created after this time.
        created_before (datetime.datetime | None | Unset): Created before this time.
        sort (ItemsReadItemsSort | Unset): `-` for descending order. Default: '-created_at'.
        title (list[str] | None | str | Unset): The exact title.
        q (None | str | Unset): A part of the title or the description. Case is ignored.
        owner_id (None | str | Unset): The owner. Other owners than the caller are for superusers
            only.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | HTTPValidationError | ItemsPublic]
    """

    kwargs = _get_kwargs(
        skip=skip,
        limit=limit,
        cursor=cursor,
        count=count,
        created_after=created_after,
        created_before=created_before,
        sort=sort,
        title=title,
        q=q,
        owner_id=owner_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    skip: int | Unset = 0,
    limit: int | Unset = 100,
    cursor: None | str | Unset = UNSET,
    count: ItemsReadItemsCount | Unset = "exact",
    created_after: datetime.datetime | None | Unset = UNSET,
    created_before: datetime.datetime | None | Unset = UNSET,
    sort: ItemsReadItemsSort | Unset = "-created_at",
    title: list[str] | None | str | Unset = UNSET,
    q: None | str | Unset = UNSET,
    owner_id: None | str | Unset = UNSET,
) -> ErrorBody | HTTPValidationError | ItemsPublic | None:
    """Read Items

     List your own items, or all items as a superuser.

    Args:
        skip (int | Unset):  Default: 0.
        limit (int | Unset):  Default: 100.
        cursor (None | str | Unset): `next_cursor` of the previous page, with the same `sort`.
            Changes of the list do not shift it.
        count (ItemsReadItemsCount | Unset): `none` skips the count query. Default: 'exact'.
        created_after (datetime.datetime | None | Unset): Created after this time.
        created_before (datetime.datetime | None | Unset): Created before this time.
        sort (ItemsReadItemsSort | Unset): `-` for descending order. Default: '-created_at'.
        title (list[str] | None | str | Unset): The exact title.
        q (None | str | Unset): A part of the title or the description. Case is ignored.
        owner_id (None | str | Unset): The owner. Other owners than the caller are for superusers
            only.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | HTTPValidationError | ItemsPublic
    """

    return (
        await asyncio_detailed(
            client=client,
            skip=skip,
            limit=limit,
            cursor=cursor,
            count=count,
            created_after=created_after,
            created_before=created_before,
            sort=sort,
            title=title,
            q=q,
            owner_id=owner_id,
        )
    ).parsed
