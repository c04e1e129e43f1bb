"""Serves a baseline with the options of `eitherdb serve`.

DATABASE_URL=… SECRET_KEY=… python -m bench.baselines postgres starlette 8001
"""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

import uvicorn

from bench.baselines import fastapi_app, starlette_app

APPS = {"starlette": starlette_app.create_app, "fastapi": fastapi_app.create_app}


def main(database: str, framework: str, port: str) -> None:
    """Serve until the process is ended."""
    baseline = import_module(f"bench.baselines.{database}").Baseline(os.environ["DATABASE_URL"])
    app = APPS[framework](baseline)
    gc.collect()
    gc.freeze()
    uvicorn.run(app, port=int(port), access_log=False, server_header=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
