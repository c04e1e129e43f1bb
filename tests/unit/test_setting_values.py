"""What files and shells add to settings: it is taken away where it can't be meant, from each of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from config import Settings, SettingsError
from config.values import PASSWORDS

POSTGRES = "postgresql://app:hunter2@db.example.com/eitherdb"

VALUES = {
    "db_backend": "postgres",
    "database_url": POSTGRES,
    "mongo_driver": "pymongo",
    "db_pool_size": "7",
    "db_pool_timeout_seconds": "0.5",
    "db_connect_timeout_seconds": "6",
    "db_command_timeout_seconds": "8",
    "environment": "staging",
    "secret_key": "8Jx-a-secret-of-thirty-two-bytes",
    "previous_secret_keys": "8Jx-a-secret-of-thirty-two-bytes-1,8Jx-a-secret-of-thirty-two-bytes-2",
    "access_token_expire_minutes": "9",
    "docs": "true",
    "max_body_bytes": "2048",
    "login_limit": "1/second",
    "login_limit_per_client": "2/second",
    "recovery_limit": "3/second",
    "recovery_limit_per_client": "4/second",
    "first_superuser": "root@example.com",
    "first_superuser_password": "correct horse",
    "cors_origins": "https://app.example.com,https://admin.example.com",
    "project_name": "Shop",
    "root_path": "/shop",
    "resources": "library.py,shop.resources",
    "frontend_host": "https://app.example.com",
    "smtp_host": "smtp.example.com",
    "smtp_port": "465",
    "smtp_tls": "false",
    "smtp_ssl": "true",
    "smtp_user": "app",
    "smtp_password": "hunter3",
    "smtp_timeout_seconds": "2",
    "emails_from_email": "post@example.com",
    "emails_from_name": "Post",
    "mail_queue_size": "11",
    "password_reset_expire_minutes": "12",
}
"""A value of each setting that is not its default."""

Load = Callable[..., Settings]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    """Load from these variables and no others, in a folder that is empty at first."""
    monkeypatch.chdir(tmp_path)

    def load_from(variables: dict[str, str]) -> Settings:
        for name in list(os.environ):
            if name.lower() in Settings.model_fields:
                monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name.upper(), value)
        return Settings.load()

    return load_from


def test_values_has_every_setting() -> None:
    """A new setting belongs there, so that the tests below try it too."""
    assert set(Settings.model_fields) <= set(VALUES)


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_load_takes_line_ends_from_every_setting(load: Load, name: str, end: str) -> None:
    """`DATABASE_URL="$(cat file; echo)"` and Kubernetes' secrets from files end in one."""
    assert load({**VALUES, name: VALUES[name] + end}) == load(VALUES)


@pytest.mark.parametrize("name", sorted(set(VALUES) - PASSWORDS))
def test_load_takes_blanks_from_what_is_no_password(load: Load, name: str) -> None:
    """No name, number, URL or word begins or ends with one."""
    assert load({**VALUES, name: f" \t{VALUES[name]}  \n"}) == load(VALUES)


@pytest.mark.parametrize("name", sorted(PASSWORDS - {"previous_secret_keys"}))
def test_load_leaves_the_blanks_of_a_password(load: Load, name: str) -> None:
    """Its owner typed them."""
    secret = f"  {VALUES[name]}  "
    assert getattr(load({**VALUES, name: f"{secret}\r\n"}), name).get_secret_value() == secret


@pytest.mark.parametrize("name", VALUES)
def test_load_takes_a_byte_order_mark_from_every_setting(load: Load, name: str) -> None:
    """Editors of Windows begin a file with one."""
    assert load({**VALUES, name: f"\ufeff{VALUES[name]}"}) == load(VALUES)


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("mark", ["'", '"'])
def test_load_refuses_quotes_around_every_setting(load: Load, name: str, mark: str) -> None:
    """`docker --env-file` keeps them, and nothing that is told of later would name the cause."""
    with pytest.raises(SettingsError) as caught:
        load({**VALUES, name: f"{mark}{VALUES[name]}{mark}"})
    expected = f"{name.upper()}: stands in quotes, which `docker --env-file` keeps; leave them out"
    assert str(caught.value) == expected


@pytest.mark.parametrize("empty", ["\n", "\r\n", "\ufeff"])
def test_load_takes_what_is_empty_then_as_not_set(load: Load, empty: str) -> None:
    """As an empty value is."""
    assert load(dict.fromkeys(VALUES, empty)) == load({})


def test_load_reads_a_file_of_windows(load: Load, tmp_path: Path) -> None:
    """With a byte order mark, which would otherwise hide the first variable, and line ends of two signs."""
    lines = [f"{name.upper()}={value}" for name, value in VALUES.items()]
    (tmp_path / ".env").write_text("\r\n".join([*lines, ""]), encoding="utf-8-sig", newline="")
    assert load({}) == load(VALUES)
