"""A row that nobody can read: an error of ours, and a line in the log that names it."""

from __future__ import annotations

import pytest
from bson import ObjectId

from migrations import open_migrator
from tests.api.service import serve
from tests.api.test_failures import logged
from tests.backends.planted import PLANTED_FAULTS, ValidRows, plant, writing
from tests.provision import Provision


async def test_row_that_can_not_be_read_is_named_in_the_log(
    migrated: Provision, caplog: pytest.LogCaptureFixture
) -> None:
    """By kind, id and field: asked for by its id, in a list, and as the user who asks."""
    kind = migrated.settings.db_backend
    async with migrated.empty_database() as settings:
        await open_migrator(settings).upgrade()
        async with (
            serve(
                migrated, database_url=settings.database_url, first_superuser="root@example.com"
            ) as service,
            writing(settings) as writer,
        ):
            root = await service.superuser("boss@example.com")
            sound = ValidRows(service.backend)
            shown = {"users", "items", "accounts", "transfers"}
            plants = [each for each in PLANTED_FAULTS if kind in each.on and each.kind in shown]
            for n, each in enumerate(plants):
                name, key = await plant(sound, writer, each, n)
                for path in (f"/{each.kind}/{name}", f"/{each.kind}/"):
                    caplog.clear()
                    answer = await root.http.get(path)
                    # SQLite's times are written into lists as they are.
                    fails = each.fails and (kind == "mongo" or path.endswith(name))
                    assert answer.status_code == 500 if fails else answer.status_code in {200, 500}
                    if answer.status_code == 500:
                        assert answer.json()["code"] == "internal_error"
                        assert name not in answer.text
                        (record,) = logged(caplog)
                        assert f': {each.kind} {name}: field "{each.name}" ' in record.getMessage()
                if not each.fails:
                    await writer.delete(each.kind, key)
                    continue
                if each.kind == "users":
                    caplog.clear()
                    stranger = service.sign_in(await sound.user(1000 + n))
                    await writer.set("users", {"id": ObjectId(stranger.id)}, each.name, each.value)
                    assert (await stranger.http.get("/users/me")).status_code == 500
                    (record,) = logged(caplog)
                    assert f"users {stranger.id}: " in record.getMessage()
                    await writer.delete("users", {"id": ObjectId(stranger.id)})
                # ValidRows ones beside it are served.
                other = await service.user(f"other{n}@example.com")
                assert (await other.http.get("/users/me")).status_code == 200
                await writer.delete(each.kind, key)
