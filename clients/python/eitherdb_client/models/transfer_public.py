from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="TransferPublic")


@_attrs_define
class TransferPublic:
    """An entry of the ledger. A deposit has no `from_account_id`, a withdrawal no `to_account_id`."""

    amount_minor: int
    created_at: datetime.datetime
    from_account_id: None | str
    id: str
    idempotency_key: None | str
    note: None | str
    to_account_id: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        amount_minor = self.amount_minor

        created_at = self.created_at.isoformat()

        from_account_id: None | str
        from_account_id = self.from_account_id

        id = self.id

        idempotency_key: None | str
        idempotency_key = self.idempotency_key

        note: None | str
        note = self.note

        to_account_id: None | str
        to_account_id = self.to_account_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "amount_minor": amount_minor,
                "created_at": created_at,
                "from_account_id": from_account_id,
                "id": id,
                "idempotency_key": idempotency_key,
                "note": note,
                "to_account_id": to_account_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        amount_minor = d.pop("amount_minor")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        def _parse_from_account_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        from_account_id = _parse_from_account_id(d.pop("from_account_id"))

        id = d.pop("id")

        def _parse_idempotency_key(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        idempotency_key = _parse_idempotency_key(d.pop("idempotency_key"))

        def _parse_note(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        note = _parse_note(d.pop("note"))

        def _parse_to_account_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        to_account_id = _parse_to_account_id(d.pop("to_account_id"))

        transfer_public = cls(
            amount_minor=amount_minor,
            created_at=created_at,
            from_account_id=from_account_id,
            id=id,
            idempotency_key=idempotency_key,
            note=note,
            to_account_id=to_account_id,
        )

        transfer_public.additional_properties = d
        return transfer_public

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
