"""The files of `eitherdb seed`: rows with the numbers of their lines, and what can't be read."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from cli.seeding import files
from cli.seeding.json_arrays import FileFault


def read(text: bytes, kind: files.Format) -> list[tuple[int, Any]]:
    """Return the lines and the values of the rows of a file; of a row that can't be read its problems."""
    file = files.SeedFile(io.BytesIO(text), "f", kind, max_row_bytes=1000)
    if kind == "csv":
        file.header()
    return [(row.line, row.problems or row.values) for row in file.rows()]


@pytest.mark.parametrize(
    ("kind", "text", "line", "problem"),
    [
        ("csv", b"a,b,a\n", 1, "two columns have the name 'a'"),
        ("csv", b"a,,b\n", 1, "column 2 has no name"),
        ("csv", b'a\n"1\n2"\n"3\n', 4, "has a quotation mark that is never closed"),
        ("csv", b'a\n"1"2\n', 2, "is no CSV: ',' expected after '\"'"),
        ("csv", b"a\n1\r2\n", 2, "has a lone CR; lines end with LF or CRLF"),
        ("csv", b"a\n1\n\xff\n", 3, "is not in UTF-8"),
        ("csv", "a\n1\n".encode("utf-16"), 1, "is not in UTF-8"),
        ("csv", b"a\n" + b"x" * 1001, 2, "has more than 1,000 bytes (MAX_BODY_BYTES)"),
        (
            "csv",
            b'a\n"' + b"x\n" * 501,
            2,
            "has a cell that is too long (MAX_BODY_BYTES), or a quotation mark",
        ),
        ("jsonl", b"{}\n" + b"x" * 1001, 2, "has more than 1,000 bytes (MAX_BODY_BYTES)"),
        ("json", b"", 1, "should be an array of objects: [{…}, {…}]"),
        ("json", b'{"a": 1}', 1, "should be an array of objects"),
        ("json", b'[{"a": 1}\n{"a": 2}]', 2, "should have a comma or ] after an element"),
        ("json", b'[{"a": 1},\n]', 2, "is no JSON: Expecting value"),
        ("json", b'[{"a": 1},\n\n{"a":\nb}]', 4, "is no JSON: Expecting value"),
        ("json", b'[{"a": 1}', 1, "should have a comma or ] after an element"),
        ("json", b"[]\n[]", 2, "has more after the end of the array"),
        ("json", b'[{"a": 1},\n{"a": "\xff"}]', 2, "is not in UTF-8"),
        ("json", b'[{},\n{"a": "' + b"x" * 1001 + b'"}]', 2, "has more than 1,000 bytes (MAX_BODY_BYTES)"),
        ("json", b'[{},\n{"a": ' + b"[" * 100_000, 2, "is nested too deep"),
    ],
)
def test_fault_of_a_file_is_named_by_line(kind: files.Format, text: bytes, line: int, problem: str) -> None:
    """The file can't be read further."""
    with pytest.raises(FileFault) as caught:
        read(text, kind)
    assert (caught.value.line, caught.value.problem[: len(problem)]) == (line, problem)


def test_lines_of_rows_are_right() -> None:
    """Also after texts of several lines, blank lines and parts of the file; a row may be wrong alone."""
    text = b'\xef\xbb\xbfa,b\r\n"1\r\n2",\r\n\r\n3,4\r\n5\r\n'
    assert read(text, "csv") == [
        (2, {"a": "1\r\n2"}),
        (5, {"a": "3", "b": "4"}),
        (6, ["has 1 cells, and the header 2"]),
    ]
    text = b'\xef\xbb\xbf{"a": 1}\n\n{"a": 1, "a": 2}\n[]\n{"a"\n' + b"[" * 900
    assert read(text, "jsonl") == [
        (1, {"a": 1}),
        (3, ["has the key 'a' twice"]),
        (4, ["should be an object with the fields of a row, not an array"]),
        (5, ["is no JSON: Expecting ':' delimiter, column 5"]),
        (6, ["is no JSON: Expecting value, column 901"]),
    ]
    many = [{"a": f"é{n}", "b": n} for n in range(20_000)]
    text = json.dumps(many, indent=1, ensure_ascii=False).encode()
    assert read(text, "json") == [(2 + 4 * n, row) for n, row in enumerate(many)]
