"""The rows of a file, one after another, with the numbers of their lines. Memory use does not grow."""

from __future__ import annotations

import csv
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

from cli.seeding.json_arrays import FileFault, RowDecoder, kind_of, objects_of
from cli.usage_error import refusal

Format: TypeAlias = Literal["csv", "json", "jsonl"]

SUFFIXES: dict[str, Format] = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl"}


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row of a file.

    Attributes:
        line: The line on which it begins, from 1.
        values: The values by name: texts for CSV, otherwise JSON types. An empty cell is absent.
        problems: The reasons why the row can't be read.
    """

    line: int
    values: dict[str, Any]
    problems: list[str] = field(default_factory=list)


class SeedFile:
    """A file of rows, which can be read several times.

    Attributes:
        name: The name for messages.
        format: The format.
        size: The number of bytes.
    """

    def __init__(self, file: BinaryIO, name: str, format: Format, *, max_row_bytes: int) -> None:  # noqa: A002 - the word
        """Read this file, whose rows have a limited size."""
        self.name = name
        self.format = format
        self._file = file
        self._max_row_bytes = max_row_bytes
        self.size = file.seek(0, 2)

    @property
    def position(self) -> int:
        """The number of bytes that were read since `rows` was called."""
        return self._file.tell()

    def header(self) -> list[str]:
        """Return the names of the columns of a CSV file.

        Raises:
            FileFault: The file is no CSV, or has no names, or one twice.
        """
        _, names = next(self._records(), (1, []))
        for number, name in enumerate(names, start=1):
            if not name:
                raise FileFault(1, f"column {number} has no name")
            if name in names[: number - 1]:
                raise FileFault(1, f"two columns have the name {name!r}")
        return names

    def rows(self) -> Iterator[FileRow]:
        """Yield the rows.

        Raises:
            FileFault: The file can't be read further.
        """
        match self.format:
            case "csv":
                yield from self._csv_rows()
            case "jsonl":
                yield from self._json_lines()
            case _:
                self._file.seek(0)
                for line, value, problems in objects_of(self._file, max_row=self._max_row_bytes):
                    yield _json_row(line, value, problems)

    def _csv_rows(self) -> Iterator[FileRow]:
        records = self._records()
        _, names = next(records, (1, []))
        for line, cells in records:
            problem = f"has {len(cells)} cells, and the header {len(names)}"
            values = {name: cell for name, cell in zip(names, cells, strict=False) if cell}
            yield FileRow(line, values, [problem] if len(cells) != len(names) else [])

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each record of a CSV file that is not blank, with the line on which it begins."""
        # The default would refuse a text that a request may have.
        csv.field_size_limit(self._max_row_bytes)
        reader = csv.reader((text for _, text in self._lines()), strict=True)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as exc:
                raise FileFault(line, _csv_problem(str(exc))) from None
            if cells:
                yield line, cells

    def _json_lines(self) -> Iterator[FileRow]:
        for line, text in self._lines():
            text = text.strip()  # noqa: PLW2901
            if not text:
                continue
            decoder = RowDecoder()
            try:
                value = decoder.decode(text)
            except json.JSONDecodeError as exc:
                yield FileRow(line, {}, [f"is no JSON: {exc.msg}, column {exc.colno}"])
            except RecursionError:
                yield FileRow(line, {}, ["is nested too deep"])
            else:
                yield _json_row(line, value, decoder.problems)

    def _lines(self) -> Iterator[tuple[int, str]]:
        """Yield the lines of the file, with their ends."""
        self._file.seek(0)
        number = 0
        while text := self._file.readline(self._max_row_bytes + 1):
            number += 1
            if len(text) > self._max_row_bytes:
                raise FileFault(number, f"has more than {self._max_row_bytes:,} bytes (MAX_BODY_BYTES)")
            try:
                yield number, text.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise FileFault(number, "is not in UTF-8") from None


def _json_row(line: int, value: object, problems: list[str]) -> FileRow:
    if isinstance(value, dict):
        return FileRow(line, value, problems)
    return FileRow(line, {}, [f"should be an object with the fields of a row, not {kind_of(value)}"])


def _csv_problem(reason: str) -> str:
    if "unexpected end" in reason:
        return "has a quotation mark that is never closed"
    if "new-line character" in reason:
        return "has a lone CR; lines end with LF or CRLF"
    if "field limit" in reason:
        return "has a cell that is too long (MAX_BODY_BYTES), or a quotation mark that is never closed"
    return f"is no CSV: {reason}"


@contextmanager
def opened_file(path: str, format: Format | None, *, max_row_bytes: int) -> Iterator[SeedFile]:  # noqa: A002 - the word
    """Open a file; copy standard input (`-`) and pipes to a temporary file, because it is read twice.

    Raises:
        typer.Exit: The file can't be read, or its format is not known; the reason is printed.
    """
    chosen = format or SUFFIXES.get(Path(path).suffix.lower())
    if chosen is None:
        where = "standard input" if path == "-" else path
        raise refusal(f"the format of {where} is not known: give it with --format csv, json or jsonl")
    with ExitStack() as stack:
        try:
            file: BinaryIO = sys.stdin.buffer if path == "-" else stack.enter_context(Path(path).open("rb"))
            if path == "-" or not file.seekable():
                copy = stack.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(file, copy)
                file = copy
        except OSError as exc:
            raise refusal(f"{path}: {exc.strerror}") from None
        yield SeedFile(file, "stdin" if path == "-" else path, chosen, max_row_bytes=max_row_bytes)
