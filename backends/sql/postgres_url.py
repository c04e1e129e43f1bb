"""Parsing of PostgreSQL's URL: the hosts and the arguments of asyncpg."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from backends.sql.postgres_options import OPTIONS, STATEMENTS, read_session
from backends.sql.postgres_tls import tls_arguments
from backends.url_options import read_options
from backends.url_parts import Host, decoded, parse_hosts, parse_port, refusal, split_query, split_url

if TYPE_CHECKING:
    from config import Settings


@dataclass(frozen=True, slots=True)
class PostgresOptions:
    """The options of a connection, from the URL and the settings.

    Attributes:
        hosts: The hosts to try, in order; None is the driver's default.
        arguments: The other arguments of `asyncpg.connect`.
    """

    hosts: tuple[Host, ...]
    arguments: dict[str, Any]

    @property
    def keeps_statements(self) -> bool:
        """Whether prepared statements are cached; not behind a pooler that shares sessions."""
        return self.arguments.get(STATEMENTS) != 0


def postgres_options(settings: Settings, *, command_timeout: bool = True) -> PostgresOptions:
    """Parse the URL. Service, migrations and reports connect with these options.

    Args:
        settings: The URL and the timeouts.
        command_timeout: Whether statements have a timeout; those of migrations have none.

    Raises:
        BackendError: The URL is invalid, or an option is refused.
    """
    hosts, given = given_options(settings)
    arguments: dict[str, Any] = {
        "timeout": given.get("connect_timeout", settings.db_connect_timeout_seconds),
        "command_timeout": settings.db_command_timeout_seconds if command_timeout else None,
        "server_settings": server_settings(given),
        **tls_arguments(given),
    }
    for name in ("user", "password", "database", "passfile", "krbsrvname", "gsslib", STATEMENTS):
        if given.get(name) is not None:
            arguments[name] = given[name]
    if "target_session_attrs" in given:
        arguments["target_session_attrs"] = given["target_session_attrs"]
    elif len(hosts) > 1:
        arguments["target_session_attrs"] = "read-write"  # the others are standbys
    return PostgresOptions(hosts, arguments)


def given_options(settings: Settings) -> tuple[tuple[Host, ...], dict[str, Any]]:
    """Return the hosts, and the parsed options by their canonical names.

    Raises:
        BackendError: The URL is invalid, or an option is refused.
    """
    url = split_url(settings.url)
    pairs = split_query(url.query)
    given = read_options(pairs, OPTIONS, settings, repeatable=("host", "port"))
    for name, part in (("user", url.user), ("password", url.password), ("database", url.path[1:])):
        if part:
            if name in given:
                raise refusal(name, "is given twice; give it once")
            given[name] = decoded(part)
    return _hosts(url.hosts, given), given


def with_search_path(url: str, name: str) -> str:
    """Return the URL with another search path."""
    base, _, query = url.partition("?")
    pairs = []
    for option, value in split_query(query):
        if option == "options":
            kept = {key: word for key, word in read_session(value).items() if key != "search_path"}
            words = [kept.pop("options")] if "options" in kept else []
            words += [session_option(key, word) for key, word in kept.items()]
            pairs += [(option, " ".join(words))] if words else []
        elif option not in {"search_path", "schema"}:
            pairs.append((option, value))
    return f"{base}?{urlencode([*pairs, ('search_path', name)], quote_via=quote)}"


def session_option(name: str, value: str) -> str:
    """Return a setting of the session as a command-line option of the server."""
    escaped = re.sub(r"([\\\s])", r"\\\1", value)
    return f"-c {name}={escaped}"


def server_settings(given: dict[str, Any]) -> dict[str, str]:
    """Return the initial settings of the session.

    Raises:
        BackendError: Two options contradict each other.
    """
    session: dict[str, str] = dict(given.get("options", {}))
    search_path = given.get("search_path")
    if search_path and session.setdefault("search_path", search_path) != search_path:
        raise refusal("search_path", "contradicts the one in options; give one of them")
    name = given.get("application_name") or given.get("fallback_application_name")
    return {"application_name": name or "eitherdb"} | session


def _hosts(authority: str, given: dict[str, Any]) -> tuple[Host, ...]:
    """Return the hosts of the URL, from its authority or its options."""
    if "host" in given:
        if authority.strip(":"):
            raise refusal("host", "is given twice; give it once")
        authority = ",".join(given["host"])
    hosts = parse_hosts(authority)
    ports = [parse_port(port) for port in ",".join(given.get("port", [])).split(",") if port]
    if ports:
        if any(port for _, port in hosts) or len(ports) not in {1, len(hosts)}:
            raise refusal("port", "does not fit the hosts; give one, or one for each host")
        ports = ports * len(hosts) if len(ports) == 1 else ports
        return tuple((host, port) for (host, _), port in zip(hosts, ports, strict=True))
    return hosts
