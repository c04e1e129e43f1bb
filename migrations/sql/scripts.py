"""EitherDB's own revisions, as Alembic loads them from `versions`."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.config import Config
from alembic.script import ScriptDirectory

if TYPE_CHECKING:
    from alembic.script import Script


def new_config() -> Config:
    """Return the configuration of Alembic's commands."""
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def scripts(config: Config) -> tuple[Script, ...]:
    """Return the revisions, the newest first. After a new one is written, call `forget_scripts`.

    Alembic executes the files, which takes longer than a run that applies none of them.
    """
    return _load(config.get_main_option("version_locations"))


@cache
def _load(locations: str | None) -> tuple[Script, ...]:
    config = new_config()
    if locations is not None:
        config.set_main_option("version_locations", locations)
    return tuple(ScriptDirectory.from_config(config).walk_revisions())


forget_scripts = _load.cache_clear
