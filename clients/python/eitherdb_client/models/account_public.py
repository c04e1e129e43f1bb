from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="AccountPublic")


@_attrs_define
class AccountPublic:
    """An account. The balance is in minor units of the currency (cents)."""

    balance_minor: int
    created_at: datetime.datetime
    currency: str
    id: str
    name: str
    owner_id: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        balance_minor = self.balance_minor

        created_at = self.created_at.isoformat()

        currency = self.currency

        id = self.id

        name = self.name

        owner_id = self.owner_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "balance_minor": balance_minor,
                "created_at": created_at,
                "currency": currency,
                "id": id,
                "name": name,
                "owner_id": owner_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        balance_minor = d.pop("balance_minor")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        currency = d.pop("currency")

        id = d.pop("id")

        name = d.pop("name")

        owner_id = d.pop("owner_id")

        account_public = cls(
            balance_minor=balance_minor,
            created_at=created_at,
            currency=currency,
            id=id,
            name=name,
            owner_id=owner_id,
        )

        account_public.additional_properties = d
        return account_public

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
