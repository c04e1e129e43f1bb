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


@cache
def scripts() -> tuple[Script, ...]:
    """Return the revisions, the newest first. After a new one is written, call `scripts.cache_clear`.

    Alembic executes the files, which takes longer than a run that applies none of them.
    """
    return tuple(ScriptDirectory.from_config(new_config()).walk_revisions())
