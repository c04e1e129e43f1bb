"""The Dockerfile and docker-compose.yml against the code that they deploy.

hadolint and the Compose schema (`make check`) see their form; here stands what only EitherDB knows.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ruamel.yaml import YAML

from api.app import create_app
from config.settings import SCHEMES, Settings, SettingsError

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DATABASES = {"api-postgres": "postgres", "api-mongo": "mongo"}  # API service -> its database's

# What an operator gives; everything else in ${…} must have a default.
GIVEN = {
    "SECRET_KEY": "k" * 48,
    "FIRST_SUPERUSER": "admin@example.com",
    "FIRST_SUPERUSER_PASSWORD": "first-password",
    "POSTGRES_PASSWORD": "Postgres-1._~",
    "MONGO_PASSWORD": "Mongo-1._~",
}
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?P<operator>:[-?])(?P<rest>[^}]*)\}")


def _interpolate(value: object) -> str:
    """Fill in `${NAME:-default}` and `${NAME:?message}` as Compose does."""
    return VARIABLE.sub(
        lambda match: GIVEN[match["name"]] if match["name"] in GIVEN else match["rest"], str(value)
    )


def _environment(service: str) -> dict[str, str]:
    """Return the variables of the service's container."""
    return {name: _interpolate(value) for name, value in SERVICES[service]["environment"].items()}


def _final_stage() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions after its last FROM: (name, arguments)."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    logical = text.replace("\\\n", " ").splitlines()
    split = [line.split(maxsplit=1) for line in logical if line.strip()]
    instructions = [(name.upper(), " ".join(rest.split())) for name, rest in split]
    last_from = max(i for i, (name, _) in enumerate(instructions) if name == "FROM")
    return instructions[last_from:]


def _instruction(name: str) -> str:
    """Return the arguments of the final stage's only instruction of this name."""
    (arguments,) = [arguments for other, arguments in _final_stage() if other == name]
    return arguments


def _image_environment() -> dict[str, str]:
    """Return what the final stage's ENV sets, PATH apart."""
    pairs = (pair.split("=", 1) for pair in _instruction("ENV").split())
    return {name: value for name, value in pairs if name != "PATH"}


def _health_command() -> list[str]:
    """Return the image's HEALTHCHECK as an argument list."""
    command: list[str] = json.loads(_instruction("HEALTHCHECK").partition(" CMD ")[2])
    return command


Load = Callable[[dict[str, str]], Settings]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    """Load the settings as in a container: from these variables, no others, and no `.env`."""

    def load_from(variables: dict[str, str]) -> Settings:
        for field in Settings.model_fields:
            monkeypatch.delenv(field.upper(), raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        return Settings.load()

    return load_from


# -- docker-compose.yml --------------------------------------------------------------------------


def test_profiles_hold_one_api_and_its_database() -> None:
    """A profile starts one API and one database; nothing starts without a profile."""
    profiles = {name: service.get("profiles") for name, service in SERVICES.items()}
    assert profiles == {
        "api-postgres": ["postgres"],
        "postgres": ["postgres"],
        "api-mongo": ["mongo"],
        "mongo": ["mongo"],
    }


@pytest.mark.parametrize("name", SERVICES)
def test_service_has_healthcheck_and_hardening(name: str) -> None:
    """Every service is probed, restarted, read-only and without capabilities."""
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", DATABASES)
def test_every_setting_can_be_given(name: str) -> None:
    """Each goes into the container under its own name, but for those that make the service what it is."""
    passed = {
        key
        for key, value in SERVICES[name]["environment"].items()
        if (variable := VARIABLE.fullmatch(value)) and variable["name"] == key
    }
    decided = {"ENVIRONMENT", "DB_BACKEND", "DATABASE_URL"}
    of_uvicorn = {"FORWARDED_ALLOW_IPS"}
    assert passed == {field.upper() for field in Settings.model_fields} - decided | of_uvicorn


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_have_no_literal_value(name: str) -> None:
    """A secret is one variable with no default, wherever it stands."""
    for key, value in SERVICES[name]["environment"].items():
        secret = urlsplit(value).password if key == "DATABASE_URL" else value
        if key == "DATABASE_URL" or re.search("SECRET|PASSWORD|SUPERUSER|TOKEN|KEY", key):
            variable = VARIABLE.fullmatch(secret or "")
            assert variable, f"{key} is not one variable"
            assert variable["operator"] == ":?" or variable["rest"] == "", f"{key} has a default"


def test_profile_demands_no_secret_of_the_other() -> None:
    """`:?` is checked for services of inactive profiles too, so only shared settings have it."""
    text = (ROOT / "docker-compose.yml").read_text()
    demanded = {match["name"] for match in VARIABLE.finditer(text) if match["operator"] == ":?"}
    assert demanded == {"SECRET_KEY", "FIRST_SUPERUSER", "FIRST_SUPERUSER_PASSWORD"}


def test_api_services_differ_in_database_only() -> None:
    """Which database is behind the API is the whole difference between the profiles."""
    shared = []
    for name in DATABASES:
        service = {**SERVICES[name], "environment": dict(SERVICES[name]["environment"])}
        for key in ("DB_BACKEND", "DATABASE_URL"):
            del service["environment"][key]
        for key in ("profiles", "depends_on"):
            del service[key]
        shared.append(service)
    assert shared[0] == shared[1]


def test_only_the_api_is_published() -> None:
    """Databases are reached by the API alone; the container's port is the one it serves on."""
    published = {name: s["ports"] for name, s in SERVICES.items() if "ports" in s}
    assert published == {name: ["${PORT:-8000}:8000"] for name in DATABASES}


@pytest.mark.parametrize("name", DATABASES)
def test_api_settings_are_accepted(name: str, load: Load) -> None:
    """The container's environment makes valid production settings with a fitting URL."""
    settings = load(_image_environment() | _environment(name))
    assert settings.environment == "production"
    assert settings.db_backend == DATABASES[name]
    assert urlsplit(settings.url).scheme in SCHEMES[settings.db_backend]


@pytest.mark.parametrize(("name", "database"), DATABASES.items())
def test_api_waits_for_the_database_of_its_url(name: str, database: str) -> None:
    """The URL's host is the service whose health the API waits for."""
    assert urlsplit(_environment(name)["DATABASE_URL"]).hostname == database
    assert SERVICES[name]["depends_on"] == {database: {"condition": "service_healthy"}}


def test_postgres_url_fits_the_server() -> None:
    """User, password and database of the URL are those that the server makes."""
    url = urlsplit(_environment("api-postgres")["DATABASE_URL"])
    server = _environment("postgres")
    assert (url.username, url.password, url.path, url.port) == (
        server["POSTGRES_USER"],
        server["POSTGRES_PASSWORD"],
        f"/{server['POSTGRES_DB']}",
        5432,
    )


def test_mongo_url_fits_the_server() -> None:
    """The URL's user and password are the root user's, which MongoDB keeps in `admin`."""
    url = urlsplit(_environment("api-mongo")["DATABASE_URL"])
    server = _environment("mongo")
    assert (url.username, url.password, parse_qs(url.query)["authSource"]) == (
        server["MONGO_INITDB_ROOT_USERNAME"],
        server["MONGO_INITDB_ROOT_PASSWORD"],
        ["admin"],
    )


def test_mongo_url_names_the_replica_set() -> None:
    """URL, server and initiation agree on the set's name and on its member's address."""
    url = urlsplit(_environment("api-mongo")["DATABASE_URL"])
    command = SERVICES["mongo"]["command"]
    script = SERVICES["mongo"]["healthcheck"]["test"][-1]
    name = command[command.index("--replSet") + 1]
    assert parse_qs(url.query)["replicaSet"] == [name]
    assert re.findall(r'_id: "(\w+)"', script) == [name]
    assert re.findall(r'host: "([\w:]+)"', script) == [f"{url.hostname}:{url.port}"]


def test_mongo_makes_the_key_file_that_it_reads() -> None:
    """The entrypoint writes where --keyFile points, on a tmpfs, since the root is read-only."""
    mongo = SERVICES["mongo"]
    path = Path(mongo["command"][mongo["command"].index("--keyFile") + 1])
    assert f"> {path})" in mongo["entrypoint"][2]
    assert str(path.parent) in mongo["tmpfs"]


# -- Dockerfile ----------------------------------------------------------------------------------


def test_image_runs_as_a_fixed_user_that_is_not_root() -> None:
    """USER is numeric, and the data folder is made for that user."""
    uid, gid = _instruction("USER").split(":")
    setup = next(arguments for name, arguments in _final_stage() if name == "RUN")
    assert int(uid) > 0
    assert f"--uid {uid} " in setup
    assert f"--gid {gid} " in setup
    assert "install --directory --owner=eitherdb --group=eitherdb --mode=0750 /data" in setup
    assert Path(urlsplit(_image_environment()["DATABASE_URL"]).path[1:]).parent == Path("/data")


def test_image_refuses_to_start_without_a_secret(load: Load) -> None:
    """The image's own environment lacks a SECRET_KEY, and nothing else."""
    with pytest.raises(SettingsError, match=r"^SECRET_KEY: "):
        load(_image_environment())
    settings = load({**_image_environment(), "SECRET_KEY": GIVEN["SECRET_KEY"]})
    assert settings.url == "sqlite:////data/eitherdb.db"


def test_image_healthcheck_asks_a_route_of_the_api(load: Load) -> None:
    """HEALTHCHECK's URL has a path that the API documents and the port that CMD serves on."""
    (address,) = re.findall(r"'(http://[^']+)'", _health_command()[-1])
    url = urlsplit(address)
    command: list[str] = json.loads(_instruction("CMD"))
    settings = load({**_image_environment(), "SECRET_KEY": GIVEN["SECRET_KEY"]})
    assert url.path in create_app(settings).openapi()["paths"]
    assert url.hostname == "127.0.0.1"
    assert str(url.port) == command[command.index("--port") + 1] == _instruction("EXPOSE")


@pytest.mark.parametrize("name", DATABASES)
def test_compose_repeats_the_healthcheck_of_the_image(name: str) -> None:
    """Podman drops the image's HEALTHCHECK, so that Compose states the same one."""
    assert SERVICES[name]["healthcheck"]["test"] == ["CMD", *_health_command()]


def test_image_command_has_real_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """The console command parses ENTRYPOINT and CMD; an unknown option would win over --help."""
    arguments = [*json.loads(_instruction("ENTRYPOINT")), *json.loads(_instruction("CMD"))]
    target = PYPROJECT["project"]["scripts"][arguments[0]]
    script = EntryPoint(arguments[0], target, "console_scripts")
    monkeypatch.setattr(sys, "argv", [*arguments, "--help"])
    with pytest.raises(SystemExit) as stop:
        sys.exit(script.load()())
    assert stop.value.code in (0, None)


def test_image_fits_the_project() -> None:
    """The version label is the project's, and .dockerignore lets every package through."""
    packages = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    assert f'image.version="{PYPROJECT["project"]["version"]}"' in _instruction("LABEL")
    assert {f"!{package}" for package in packages} <= set(allowed)


def test_image_drops_the_build_backend_and_what_only_it_needs() -> None:
    """The packages that the Dockerfile uninstalls are the lock's build group, no more, no less."""
    lock = (ROOT / "requirements/runtime.txt").read_text()
    needed_by = {
        name: set(re.findall(r"^ +# +(?:via )?([\w.-]+(?: \(.+\))?)$", block, re.MULTILINE))
        for name, block in re.findall(r"^([\w-]+)==(.*(?:\n .*)*)", lock, re.MULTILINE)
    }
    build_only = {"eitherdb (pyproject.toml:build)"}
    while grown := {n for n, by in needed_by.items() if by - {"via"} <= build_only} - build_only:
        build_only |= grown
    uninstall = re.search(r"uninstall --yes\s+\\\n(.+)", (ROOT / "Dockerfile").read_text())
    assert uninstall is not None
    assert set(uninstall[1].split()) == build_only - {"eitherdb (pyproject.toml:build)"}
