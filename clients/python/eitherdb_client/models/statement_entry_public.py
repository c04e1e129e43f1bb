from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="StatementEntryPublic")


@_attrs_define
class StatementEntryPublic:
    """An entry of one account: the amount, negative for money that left, and the balance after it."""

    amount_minor: int
    balance_minor: int
    created_at: datetime.datetime
    note: None | str
    other_account_id: None | str
    transfer_id: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        amount_minor = self.amount_minor

        balance_minor = self.balance_minor

        created_at = self.created_at.isoformat()

        note: None | str
        note = self.note

        other_account_id: None | str
        other_account_id = self.other_account_id

        transfer_id = self.transfer_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "amount_minor": amount_minor,
                "balance_minor": balance_minor,
                "created_at": created_at,
                "note": note,
                "other_account_id": other_account_id,
                "transfer_id": transfer_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        amount_minor = d.pop("amount_minor")

        balance_minor = d.pop("balance_minor")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        def _parse_note(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        note = _parse_note(d.pop("note"))

        def _parse_other_account_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        other_account_id = _parse_other_account_id(d.pop("other_account_id"))

        transfer_id = d.pop("transfer_id")

        statement_entry_public = cls(
            amount_minor=amount_minor,
            balance_minor=balance_minor,
            created_at=created_at,
            note=note,
            other_account_id=other_account_id,
            transfer_id=transfer_id,
        )

        statement_entry_public.additional_properties = d
        return statement_entry_public

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
