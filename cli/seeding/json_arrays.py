"""Reads a JSON array element by element, so that a large file takes no memory."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

CHUNK_BYTES = 64 * 1024
MAX_INTEGER_DIGITS = 400
"""As in requests: a longer integer still exceeds every bound, and Python would refuse to parse it."""

_BLANKS = re.compile(r"[ \t\n\r]*")


class FileFault(Exception):
    """A file can't be read from this line on."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line
        self.problem = problem


class RowDecoder:
    """Parses JSON, and records what JSON parsers commonly ignore.

    Attributes:
        problems: Repeated keys, and numbers that are not JSON.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=self._constant, parse_int=_integer
        )
        self.decode = decoder.decode
        self.decode_at = decoder.raw_decode

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in found if names.count(name) > 1)
            self.problems.append(f"has the key {twice!r} twice")
        return found

    def _constant(self, name: str) -> None:
        self.problems.append(f"has {name}, which is no JSON")


def _integer(digits: str) -> int:
    return int(digits[:MAX_INTEGER_DIGITS])


def kind_of(value: object) -> str:
    """Return the JSON type of a value, with its article."""
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null", dict: "an object"}
    return names.get(type(value), "a number")


def objects_of(file: BinaryIO, *, max_row: int) -> Iterator[tuple[int, Any, list[str]]]:
    """Yield each element of an array, the line on which it begins, and its problems.

    Args:
        file: The file, at its start.
        max_row: The maximum number of characters of an element.

    Raises:
        FileFault: The file is no array in JSON and UTF-8.
    """
    text = _Text(file, max_row)
    if text.next() != "[":
        raise FileFault(text.line, "should be an array of objects: [{…}, {…}]")
    text.skip(1)
    if text.next() == "]":
        text.skip(1)
    else:
        separator = ","
        while separator == ",":
            text.next()
            yield text.line, *text.element()
            separator = text.next()
            if separator not in {",", "]"}:
                raise FileFault(text.line, "should have a comma or ] after an element")
            text.skip(1)
    if text.next():
        raise FileFault(text.line, "has more after the end of the array")


class _Text:
    """A part of the file as text, and the place in it.

    Attributes:
        line: The line of the place.
    """

    def __init__(self, file: BinaryIO, max_row: int) -> None:
        self.line = 1
        self._file = file
        self._max_row = max_row
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0

    def next(self) -> str:
        """Skip white space; return the next character, or nothing at the end of the file."""
        while True:
            blanks = _BLANKS.match(self._text, self._at)
            self.skip(blanks.end() - self._at if blanks else 0)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read():
                return ""

    def skip(self, length: int) -> None:
        """Move the place."""
        self.line += self._text.count("\n", self._at, self._at + length)
        self._at += length

    def element(self) -> tuple[Any, list[str]]:
        """Parse the value at this place and move behind it; return it, and its problems."""
        while True:
            decoder = RowDecoder()
            try:
                value, end = decoder.decode_at(self._text, self._at)
            except RecursionError:
                raise FileFault(self.line, "is nested too deep") from None
            except json.JSONDecodeError as exc:
                # The value may go on in the next part.
                if len(self._text) - self._at <= self._max_row and self._read():
                    continue
                line = self.line + self._text.count("\n", self._at, exc.pos)
                raise FileFault(line, f"is no JSON: {exc.msg}") from None
            # A number at the end of a part may have more digits in the next one.
            if end == len(self._text) and self._read():
                continue
            if end - self._at > self._max_row:
                raise FileFault(self.line, f"has more than {self._max_row:,} bytes (MAX_BODY_BYTES)")
            self.skip(end - self._at)
            return value, decoder.problems

    def _read(self) -> bool:
        """Read another part; return False at the end of the file."""
        part = self._file.read(CHUNK_BYTES)
        self._text = self._text[self._at :]
        self._at = 0
        try:
            self._text += self._decoder.decode(part, final=not part)
        except UnicodeDecodeError as exc:
            lines = self._text.count("\n") + exc.object[: exc.start].count(b"\n")
            raise FileFault(self.line + lines, "is not in UTF-8") from None
        return bool(part)
