"""The options of a database URL. Each option is applied, or refused by name.

Each backend has one table of the options that it knows (`Table`). Unknown options, options without a value
and repeated options are refused. No message contains a value, because it may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.url_parts import refusal

if TYPE_CHECKING:
    from config import Settings

Parse = Callable[[str], Any]
"""Parses the text of an option, or raises a ValueError that describes valid values."""


@dataclass(frozen=True, slots=True)
class Applied:
    """An option that is applied.

    Attributes:
        parse: Parses the text.
        name: The canonical name, if this option is an alias.
    """

    parse: Parse
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Fixed:
    """An option that is accepted only with values that describe the actual behaviour."""

    values: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Setting:
    """An option that corresponds to a setting of EitherDB. The two must agree.

    Attributes:
        field: The setting.
        per_unit: The number of the option's units per unit of the setting.
        applies: Whether the option applies if the setting has its default.
        name: The canonical name, if this option is an alias.
    """

    field: str
    per_unit: int = 1
    applies: bool = False
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Unsupported:
    """An option that EitherDB can't support."""

    reason: str


Rule = Applied | Fixed | Setting | Unsupported
Table = Mapping[str, Rule]


def read_options(
    pairs: Iterable[tuple[str, str]],
    table: Table,
    settings: Settings,
    *,
    repeatable: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the parsed options by canonical name.

    Args:
        pairs: The names and values of the URL.
        table: The rule for each known option.
        settings: The settings, which the options must not contradict.
        repeatable: Options that may be repeated; their values become a list.

    Raises:
        BackendError: An option is refused; the message names it and the alternatives.
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
            continue  # the default behaviour
        if key in repeatable:
            options.setdefault(key, []).append(value)
        elif options.setdefault(key, value) != value:
            raise refusal(name, f"contradicts {names[key]}; give one of them")
        names.setdefault(key, name)
    return options


def _read(name: str, text: str, rule: Rule, settings: Settings) -> tuple[str, Any]:
    """Return the option's canonical name and parsed value."""
    match rule:
        case Applied():
            try:
                return rule.name or name, rule.parse(text)
            except ValueError as exc:
                raise refusal(name, str(exc)) from None
        case Fixed():
            if text.lower() not in rule.values:
                raise refusal(name, rule.reason)
            return name, text.lower()
        case Setting():
            return rule.name or name, _agreed(name, text, rule, settings)
        case Unsupported():
            raise refusal(name, rule.reason)


def _agreed(name: str, text: str, rule: Setting, settings: Settings) -> float:
    """Return the option's value, in its own units, if it agrees with the setting."""
    ours = getattr(settings, rule.field)
    variable = f"{rule.field.upper()}={ours:g}"
    try:
        value = float(text)
    except ValueError:
        raise refusal(name, f"not a number; leave it out, for {variable}") from None
    if value == ours * rule.per_unit:
        return value
    if not rule.applies:
        raise refusal(name, f"contradicts {variable}; leave it out, and give {rule.field.upper()}")
    if rule.field in settings.model_fields_set:
        raise refusal(name, f"contradicts {variable}; give one of them")
    if not rule.per_unit <= value <= 300 * rule.per_unit:
        raise refusal(name, f"give {rule.per_unit} to {300 * rule.per_unit}")
    return value


def _unknown(name: str, table: Table) -> str:
    """Return the message about an unknown option, with a suggestion."""
    import difflib  # noqa: PLC0415 - needed for errors only

    folded = {option.lower(): option for option in table}
    if close := difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.75):
        return f"not known; leave it out, or is it {folded[close[0]]}?"
    applied = sorted(option for option, rule in table.items() if isinstance(rule, Applied))
    return f"not known; leave it out, or give one of: {', '.join(applied)}"


# -- parsers of values ---------------------------------------------------------------------------


def text(value: str) -> str:
    """Accept any text without control characters."""
    if not value.isprintable():
        raise ValueError("has control characters; give printable text")
    return value


def choice(*values: str) -> Parse:
    """Return a parser that accepts one of these words."""

    def parse(value: str) -> str:
        if value not in values:
            raise ValueError(f"not a valid value; choose one of: {', '.join(values)}")
        return value

    return parse


def switch(value: str) -> bool:
    """Parse a boolean."""
    if value.lower() in {"true", "1", "on", "yes"}:
        return True
    if value.lower() in {"false", "0", "off", "no"}:
        return False
    raise ValueError("not a valid value; choose one of: true, false")


def whole_number(least: int, most: int) -> Parse:
    """Return a parser of integers from `least` to `most`."""

    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", value) or not least <= int(value) <= most:
            raise ValueError(f"not a valid value; give an integer from {least} to {most}")
        return int(value)

    return parse


def readable_file(value: str) -> str:
    """Accept the path of a readable file."""
    path = Path(text(value)).expanduser()
    try:
        path.open("rb").close()
    except OSError as exc:
        raise ValueError(f"the file {path} can't be read: {exc.strerror}") from None
    return str(path)
