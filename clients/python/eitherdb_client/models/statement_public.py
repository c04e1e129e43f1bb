from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.account_public import AccountPublic
    from ..models.statement_entry_public import StatementEntryPublic


T = TypeVar("T", bound="StatementPublic")


@_attrs_define
class StatementPublic:
    """An account and a snapshot of all its entries, oldest first."""

    account: AccountPublic
    """ An account. The balance is in minor units of the currency (cents). """
    count: int
    data: list[StatementEntryPublic]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        account = self.account.to_dict()

        count = self.count

        data = []
        for data_item_data in self.data:
            data_item = data_item_data.to_dict()
            data.append(data_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "account": account,
                "count": count,
                "data": data,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.account_public import AccountPublic  # noqa: PLC0415
        from ..models.statement_entry_public import StatementEntryPublic  # noqa: PLC0415

        d = dict(src_dict)
        account = AccountPublic.from_dict(d.pop("account"))

        count = d.pop("count")

        data = []
        _data = d.pop("data")
        for data_item_data in _data:
            data_item = StatementEntryPublic.from_dict(data_item_data)

            data.append(data_item)

        statement_public = cls(
            account=account,
            count=count,
            data=data,
        )

        statement_public.additional_properties = d
        return statement_public

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
