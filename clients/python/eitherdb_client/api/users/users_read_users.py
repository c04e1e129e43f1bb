from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error_body import ErrorBody
from ...models.http_validation_error import HTTPValidationError
from ...models.users_public import UsersPublic
from ...models.users_read_users_count import (
    UsersReadUsersCount,
)
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    skip: int | Unset = 0,
    limit: int | Unset = 100,
    cursor: None | str | Unset = UNSET,
    count: UsersReadUsersCount | Unset = "exact",
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

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/v1/users/",
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ErrorBody | HTTPValidationError | UsersPublic | None:
    if response.status_code == 200:
        response_200 = UsersPublic.from_dict(response.json())

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

    if response.status_code == 422:
        response_422 = HTTPValidationError.from_dict(response.json())

        return response_422

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[ErrorBody | HTTPValidationError | UsersPublic]:
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
    count: UsersReadUsersCount | Unset = "exact",
) -> Response[ErrorBody | HTTPValidationError | UsersPublic]:
    """Read Users

     List the users, newest first.

    Args:
        skip (int | Unset):  Default: 0.
        limit (int | Unset):  Default: 100.
        cursor (None | str | Unset): `next_cursor` of the page before; goes on there whatever
            changed meanwhile.
        count (UsersReadUsersCount | Unset): `none` spares the database the counting. Default:
            'exact'.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | HTTPValidationError | UsersPublic]
    """

    kwargs = _get_kwargs(
        skip=skip,
        limit=limit,
        cursor=cursor,
        count=count,
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
    count: UsersReadUsersCount | Unset = "exact",
) -> ErrorBody | HTTPValidationError | UsersPublic | None:
    """Read Users

     List the users, newest first.

    Args:
        skip (int | Unset):  Default: 0.
        limit (int | Unset):  Default: 100.
        cursor (None | str | Unset): `next_cursor` of the page before; goes on there whatever
            changed meanwhile.
        count (UsersReadUsersCount | Unset): `none` spares the database the counting. Default:
            'exact'.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | HTTPValidationError | UsersPublic
    """

    return sync_detailed(
        client=client,
        skip=skip,
        limit=limit,
        cursor=cursor,
        count=count,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    skip: int | Unset = 0,
    limit: int | Unset = 100,
    cursor: None | str | Unset = UNSET,
    count: UsersReadUsersCount | Unset = "exact",
) -> Response[ErrorBody | HTTPValidationError | UsersPublic]:
    """Read Users

     List the users, newest first.

    Args:
        skip (int | Unset):  Default: 0.
        limit (int | Unset):  Default: 100.
        cursor (None | str | Unset): `next_cursor` of the page before; goes on there whatever
            changed meanwhile.
        count (UsersReadUsersCount | Unset): `none` spares the database the counting. Default:
            'exact'.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | HTTPValidationError | UsersPublic]
    """

    kwargs = _get_kwargs(
        skip=skip,
        limit=limit,
        cursor=cursor,
        count=count,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    skip: int | Unset = 0,
    limit: int | Unset = 100,
    cursor: None | str | Unset = UNSET,
    count: UsersReadUsersCount | Unset = "exact",
) -> ErrorBody | HTTPValidationError | UsersPublic | None:
    """Read Users

     List the users, newest first.

    Args:
        skip (int | Unset):  Default: 0.
        limit (int | Unset):  Default: 100.
        cursor (None | str | Unset): `next_cursor` of the page before; goes on there whatever
            changed meanwhile.
        count (UsersReadUsersCount | Unset): `none` spares the database the counting. Default:
            'exact'.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | HTTPValidationError | UsersPublic
    """

    return (
        await asyncio_detailed(
            client=client,
            skip=skip,
            limit=limit,
            cursor=cursor,
            count=count,
        )
    ).parsed
