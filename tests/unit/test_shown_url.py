"""What is shown of DATABASE_URL: where it leads, and never a secret, whatever form it has."""

from __future__ import annotations

import pytest

from cli.database import shown_url
from tests.provision import make_settings

SECRETS = ("hunter2", "app", "hun", "ter2")


@pytest.mark.parametrize(
    ("backend", "url", "shown"),
    [
        ("sqlite", "sqlite:////data/a@b.db", "sqlite:////data/a@b.db"),
        ("sqlite", "sqlite:////data/shop.db?mode=rw", "sqlite:////data/shop.db"),
        ("postgres", "postgresql://app:hunter2@db:5432/shop", "postgresql://db:5432/shop"),
        ("postgres", "postgresql://app:hun%40ter2@db/shop?sslmode=require", "postgresql://db/shop"),
        ("postgres", "postgresql://app:hun@ter2@db/shop", "postgresql://db/shop"),
        ("postgres", "postgresql://app:hunter2@a:1,b:2/shop", "postgresql://a:1,b:2/shop"),
        ("postgres", "postgresql://app:hunter2@[::1]:1/shop", "postgresql://[::1]:1/shop"),
        ("postgres", "postgresql://app:hunter2@%2Fvar%2Frun/shop", "postgresql://%2Fvar%2Frun/shop"),
        ("postgres", "postgresql://app:hunter2@/shop?host=/var/run", "postgresql:///shop (at /var/run)"),
        ("postgres", "postgresql:///shop?user=app&password=hunter2&host=db", "postgresql:///shop (at db)"),
        ("postgres", "postgresql://db/shop?password=hunter2&sslpassword=hunter2", "postgresql://db/shop"),
        ("postgres", "postgresql://db/shop?password=hun@ter2", "postgresql://…"),
        ("postgres", "postgresql://app:hun/ter2@db/shop", "postgresql://db/shop"),
        ("postgres", "postgresql://app:1/ter2@db/shop", "postgresql://…"),
        ("postgres", "postgresql://app:hun?ter2@db/shop", "postgresql://db/shop"),
        ("postgres", "postgresql://app:1?ter2=x@db/shop", "postgresql://…"),
        ("postgres", "postgresql://app:hun#ter2@db/shop", "postgresql://db/shop"),
        ("postgres", "postgresql://app:1/hun#ter2", "postgresql://…"),
        ("postgres", "postgresql://app:hunter2", "postgresql://…"),
        ("postgres", "postgresql://app:hun@ter2/x@db/shop", "postgresql://…"),
        ("sqlite", "sqlite://app:hunter2@db/shop", "sqlite://…"),
        ("mongo", "mongodb://app:hunter2@a:1,b:2/shop?authSource=admin", "mongodb://a:1,b:2/shop"),
        ("mongo", "mongodb+srv://app:hunter2@cluster.example.com/", "mongodb+srv://cluster.example.com/"),
        ("mongo", "mongodb://db/?authMechanismProperties=AWS_SESSION_TOKEN:hunter2", "mongodb://db/"),
        ("mongo", "mongodb://db/?tlsCertificateKeyFilePassword=hunter2", "mongodb://db/"),
    ],
)
def test_shown_url_has_no_secret(backend: str, url: str, shown: str) -> None:
    """Of a URL that can't be told apart only the scheme is shown."""
    assert shown_url(make_settings(db_backend=backend, database_url=url)) == shown
