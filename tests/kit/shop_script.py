"""Adds shops to the example's database, or shows them, in an environment without the project."""

from __future__ import annotations

import asyncio
import json
import sys

from backends import open_backend
from backends.models.resources.loading import load_declarations
from config import Settings


async def main(rows: str | None) -> None:
    """Add rows, or show lists and one row."""
    ((cls,),) = [each.resources for each in load_declarations(["shop.py"])]
    backend = await open_backend(Settings(), resources=[cls])
    try:
        await backend.check_schema()
        shops = backend.resources["shops"]
        if rows is not None:
            await shops.add_many([cls.of_fields(each) for each in json.loads(rows)])
            return
        for sort in ("name", "-place"):
            page = await shops.list(sort=sort)
            sys.stdout.write(f"{[(row['name'], row['place'], row['kind']) for row in page.rows]}\n")
        found = await shops.find_by(name="b")
        sys.stdout.write(f"{found.place if found is not None else None}\n")
    finally:
        await backend.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
