"""Reads a database's URL and its options: each option is obeyed, or refused by name.

A backend has one table of the options that it knows (`Table`). An option that is not in it is refused, as
is one without a value and one that is given twice. No message shows a value, because it may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from backends.errors import BackendError

if TYPE_CHECKING:
    from config import Settings

Parse = Callable[[str], Any]
"""Returns what the text of an option means, or raises a ValueError that says what would be right."""

ENCODE = "write @ as %40, / as %2F, : as %3A, ? as %3F, # as %23 and % as %25 in a user, password or name"


@dataclass(frozen=True, slots=True)
class Obeyed:
    """An option that is obeyed.

    Attributes:
        parse: Returns its meaning.
        name: What it is called among the options that were read: another name of the same option.
    """

    parse: Parse
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Only:
    """An option that is accepted where it asks for what happens anyway, and refused otherwise."""

    values: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Setting:
    """An option for which EitherDB has a setting, so the two must agree.

    Attributes:
        field: The setting.
        per_unit: How many of the option's units are one of the setting's.
        is_obeyed: Whether the option counts where the setting is not given.
        name: What it is called among the options that were read: another name of the same option.
    """

    field: str
    per_unit: int = 1
    is_obeyed: bool = False
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """An option that can't be obeyed."""

    reason: str


Host = tuple[str | None, int | None]
"""A name, address or socket, and a port; None for the driver's default."""

Rule = Obeyed | Only | Setting | Refused
Table = Mapping[str, Rule]


@dataclass(frozen=True, slots=True)
class UrlParts:
    """A URL's parts as they are written, still percent-encoded."""

    scheme: str
    user: str | None
    password: str | None
    hosts: str
    path: str
    query: str


def refusal(option: str, reason: str) -> BackendError:
    """Return the error that refuses an option by its name."""
    return BackendError(f"the option {option}: {reason}")


_PORT = re.compile(r"[0-9]{0,5}[/?#]")


def split_url(url: str) -> UrlParts:
    """Split a URL.

    A password may have signs that had better be encoded, where it can be told from a port and a path.

    Raises:
        BackendError: It can't be told apart.
    """
    scheme, _, rest = url.partition("://")
    account = re.match(r"[^:/?#@]*:([^@]*)@", rest)
    if account and not _PORT.match(account[1]):
        end = account.end()
        while "@" in rest[end:].partition("/")[0].partition("?")[0]:
            end = rest.index("@", end) + 1
        given, rest = rest[: end - 1], rest[end:]
    else:
        authority = re.split("[/?#]", rest, maxsplit=1)[0]
        given, rest = authority.rpartition("@")[0], rest[authority.rfind("@") + 1 :]
    before, _, query = rest.partition("?")
    hosts, slash, path = before.partition("/")
    if "@" in path or "#" in rest:
        raise BackendError(f"the URL can't be parsed: {ENCODE}")
    user, colon, password = given.partition(":")
    return UrlParts(
        scheme=scheme,
        user=user or None,
        password=password if colon else None,
        hosts=hosts,
        path=slash + path,
        query=query,
    )


def decoded(text: str) -> str:
    """Decode percent-encoded text; a percent sign that encodes nothing is one.

    Raises:
        BackendError: It is no text.
    """
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise BackendError("the URL can't be parsed: percent-encoded text must be UTF-8") from None


def parse_hosts(hosts: str) -> tuple[Host, ...]:
    """Read `name`, `name:port`, `[IPv6]:port` or the encoded path of a socket, joined by commas.

    Raises:
        BackendError: One is none of these.
    """
    return tuple(_host(host) for host in hosts.split(","))


def _host(host: str) -> Host:
    if host.startswith("/"):
        return host, None
    match = re.fullmatch(
        r"(\[(?P<ip>[0-9A-Fa-f:.]+(%\w+)?)\]|(?P<name>[^\[\]:]*))(:(?P<port>[^:]*))?", host
    )
    if match is None:
        raise BackendError("the URL can't be parsed: an IPv6 address stands in brackets: [::1]:5432")
    name = match["ip"] or decoded(match["name"])
    return name or None, parse_port(match["port"]) if match["port"] else None


def parse_port(digits: str) -> int:
    """Read a port.

    Raises:
        BackendError: It is none.
    """
    if not re.fullmatch("[0-9]{1,5}", digits) or not 1 <= int(digits) <= 65535:
        raise BackendError(f"the URL can't be parsed: a port is a number from 1 to 65535; {ENCODE}")
    return int(digits)


def split_query(query: str) -> list[tuple[str, str]]:
    """Return the names and values of a query, decoded; a plus is a plus.

    Raises:
        BackendError: An option has no value.
    """
    pairs = []
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if not re.fullmatch(r"[A-Za-z_][\w.-]*", name):
            raise BackendError(f"the URL's options can't be parsed: give name=value, joined by &; {ENCODE}")
        if not value:
            raise refusal(name, "has no value; give one, or leave the option out")
        pairs.append((name, decoded(value)))
    return pairs


def read_options(
    pairs: Iterable[tuple[str, str]],
    table: Table,
    settings: Settings,
    *,
    repeatable: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return what the options mean, by name.

    Args:
        pairs: The names and values, as the URL has them.
        table: What is known of each name.
        settings: With which they must agree.
        repeatable: Options that may be given several times; their meanings become a list.

    Raises:
        BackendError: An option is refused; the text names it and says what is possible.
    """
    options: dict[str, Any] = {}
    names: dict[str, str] = {}
    seen: set[str] = set()
    for name, text in pairs:
        rule = table.get(name)
        if rule is None:
            raise refusal(name, _unknown(name, table))
        if name in seen and name not in repeatable:
            raise refusal(name, "is given twice; give it once")
        seen.add(name)
        key, value = _read(name, text, rule, settings)
        if value is None:
            continue  # it asks for what happens anyway
        if key in repeatable:
            options.setdefault(key, []).append(value)
        elif options.setdefault(key, value) != value:
            raise refusal(name, f"contradicts {names[key]}; give one of them")
        names.setdefault(key, name)
    return options


def _read(name: str, text: str, rule: Rule, settings: Settings) -> tuple[str, Any]:
    """Return the option's name and meaning."""
    match rule:
        case Obeyed():
            try:
                return rule.name or name, rule.parse(text)
            except ValueError as exc:
                raise refusal(name, str(exc)) from None
        case Only():
            if text.lower() not in rule.values:
                raise refusal(name, rule.reason)
            return name, text.lower()
        case Setting():
            return rule.name or name, _agreed(name, text, rule, settings)
        case Refused():
            raise refusal(name, rule.reason)


def _agreed(name: str, text: str, rule: Setting, settings: Settings) -> float:
    """Return the option's value, in its own units, if the setting says the same."""
    ours = getattr(settings, rule.field)
    variable = f"{rule.field.upper()}={ours:g}"
    try:
        value = float(text)
    except ValueError:
        raise refusal(name, f"not a number; leave it out, for {variable}") from None
    if value == ours * rule.per_unit:
        return value
    if not rule.is_obeyed:
        raise refusal(name, f"contradicts {variable}; leave it out, and give {rule.field.upper()}")
    if rule.field in settings.model_fields_set:
        raise refusal(name, f"contradicts {variable}; give one of them")
    if not rule.per_unit <= value <= 300 * rule.per_unit:
        raise refusal(name, f"give {rule.per_unit} to {300 * rule.per_unit}")
    return value


def _unknown(name: str, table: Table) -> str:
    """Say of an option that it is unknown, and which one may be meant."""
    import difflib  # noqa: PLC0415 - of use to a mistake only

    folded = {option.lower(): option for option in table}
    if close := difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.75):
        return f"not known; leave it out, or is it {folded[close[0]]}?"
    obeyed = sorted(option for option, rule in table.items() if isinstance(rule, Obeyed))
    return f"not known; leave it out, or give one of: {', '.join(obeyed)}"


# -- what an option may say ----------------------------------------------------------------------


def text(value: str) -> str:
    """Take any text without control characters."""
    if not value.isprintable():
        raise ValueError("has control characters; give printable text")
    return value


def choice(*values: str) -> Parse:
    """Take one of these words."""

    def parse(value: str) -> str:
        if value not in values:
            raise ValueError(f"not a valid value; choose one of: {', '.join(values)}")
        return value

    return parse


def switch(value: str) -> bool:
    """Take yes or no."""
    if value.lower() in {"true", "1", "on", "yes"}:
        return True
    if value.lower() in {"false", "0", "off", "no"}:
        return False
    raise ValueError("not a valid value; choose one of: true, false")


def whole_number(least: int, most: int) -> Parse:
    """Take an integer."""

    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", value) or not least <= int(value) <= most:
            raise ValueError(f"not a valid value; give an integer from {least} to {most}")
        return int(value)

    return parse


def readable_file(value: str) -> str:
    """Take the path of a file that can be read."""
    path = Path(text(value)).expanduser()
    try:
        path.open("rb").close()
    except OSError as exc:
        raise ValueError(f"the file {path} can't be read: {exc.strerror}") from None
    return str(path)
