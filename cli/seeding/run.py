"""Validates a whole file, and then stores it batch by batch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from backends.errors import BackendError, Conflict, PermissionDenied, Unavailable
from cli.seeding.columns import from_cells, unknown_columns
from cli.seeding.json_arrays import FileFault
from cli.seeding.targets import Invalid, NewRow, Target

if TYPE_CHECKING:
    from cli.progress import Progress
    from cli.seeding.files import FileRow, SeedFile

SHOWN_PROBLEMS = 20
"""The number of problems that are named; all refused rows are counted."""

_INTERRUPTED = 130
_PROGRESS_ROWS = 100


class Stopped(Exception):
    """No more is stored.

    Attributes:
        lines: What is wrong, by lines.
        exit_code: The exit code of the command.
    """

    def __init__(self, message: str, *, lines: Sequence[str] = (), exit_code: int = 2) -> None:
        super().__init__(message)
        self.lines = tuple(lines)
        self.exit_code = exit_code


class Seeding:
    """The way of the rows from a file to the database."""

    def __init__(
        self,
        file: SeedFile,
        target: Target,
        *,
        skip: int,
        progress: Progress,
        is_interrupted: Callable[[], bool],
    ) -> None:
        """Leave out the first `skip` rows, and stop between two batches when interrupted."""
        self._file = file
        self._target = target
        self._skip = skip
        self._progress = progress
        self._is_interrupted = is_interrupted

    async def check(self) -> int:
        """Validate all rows; return their number.

        Raises:
            Stopped: Rows are refused, or there are none. Nothing is stored.
        """
        lines: list[str] = []
        count = invalid = 0
        try:
            if self._file.format == "csv":
                self._check_header()
            async for row, found in self._rows("checking", first_time=True):
                count += 1
                if isinstance(found, Invalid):
                    invalid += 1
                    lines += [self._at(row.line, each) for each in found.problems]
                    del lines[SHOWN_PROBLEMS:]
                if self._is_interrupted():
                    raise Stopped("interrupted; nothing was stored", exit_code=_INTERRUPTED)
        except FileFault as fault:
            reason = self._at(fault.line, fault.problem)
            raise Stopped(f"{reason}; nothing was stored", lines=lines) from fault
        if invalid:
            counted = f"{invalid:,} of {count:,} rows are refused"
            raise Stopped(f"{self._file.name}: {counted}; nothing was stored", lines=lines)
        if not count and not self._skip:
            raise Stopped(f"{self._file.name} has no rows")
        return count

    def _check_header(self) -> None:
        names = self._file.header()
        if problems := unknown_columns(self._target, names):
            lines = [self._at(1, each) for each in problems]
            raise Stopped(f"{self._file.name}: nothing was stored", lines=lines)
        if names and self._target.needs_owner and "owner" not in names:
            raise Stopped(f"{self._target.many} have owners: give --owner EMAIL, or a column owner")

    async def store(self) -> int:
        """Store the rows; return their number.

        Raises:
            Stopped: The database refuses a row, or an interruption. The batches before are stored.
        """
        stored = self._skip
        async for batch in self._batches():
            await self._target.prepare(batch)
            for start in range(0, len(batch), self._target.step):
                if self._is_interrupted():
                    raise Stopped(f"interrupted; {_go_on(stored)}", exit_code=_INTERRUPTED)
                rows = batch[start : start + self._target.step]
                try:
                    await self._target.store(rows)
                except BackendError as exc:
                    raise await self._refusal(rows, exc, stored) from exc
                stored += len(rows)
        return stored - self._skip

    async def _batches(self) -> AsyncIterator[list[NewRow]]:
        """Yield successive rows of one owner."""
        batch: list[NewRow] = []
        async for row, found in self._rows("storing", first_time=False):
            if isinstance(found, Invalid):
                raise Stopped(f"{self._at(row.line, str(found))}; the file has changed meanwhile")
            if batch and (len(batch) == self._target.batch or batch[0].owner_id != found.owner_id):
                yield batch
                batch = []
            batch.append(found)
        if batch:
            yield batch

    async def _rows(
        self, phase: str, *, first_time: bool
    ) -> AsyncIterator[tuple[FileRow, NewRow | Invalid]]:
        """Yield the rows after those to skip, each validated."""
        number = position = 0
        for number, row in enumerate(self._file.rows(), start=1):
            if number % _PROGRESS_ROWS == 0:
                self._progress(phase, _PROGRESS_ROWS, steps=self._file.position - position)
                position = self._file.position
            if number <= self._skip:
                continue
            try:
                yield row, await self._read(row, first_time=first_time)
            except Invalid as exc:
                yield row, exc
        self._progress(phase, number % _PROGRESS_ROWS, steps=self._file.size - position)
        if number < self._skip:
            raise Stopped(f"--skip {self._skip}: {self._file.name} has {number:,} rows")

    async def _read(self, row: FileRow, *, first_time: bool) -> NewRow:
        values, problems = row.values, list(row.problems)
        if self._file.format == "csv":
            values, more = from_cells(self._target, values)
            problems += more
        else:
            problems += unknown_columns(self._target, list(values))
        if problems:
            raise Invalid(problems)
        return await self._target.read(row.line, values, first_time=first_time)

    async def _refusal(self, rows: Sequence[NewRow], error: BackendError, stored: int) -> Stopped:
        """Return the reason why these rows are not stored, and how to go on."""
        name, first, last = self._file.name, rows[0].line, rows[-1].line
        lines = f"line {first}" if first == last else f"lines {first} to {last}"
        if isinstance(error, Unavailable) and not isinstance(error, Conflict | PermissionDenied):
            return Stopped(
                f"{name}: {error}; whether {lines} are stored is not known, and the {stored:,} rows before "
                f"are: look, and go on with --skip {stored} or --skip {stored + len(rows)}"
            )
        found = await self._target.explain(rows, error)
        reason = "" if found else f"{error}; "
        of_batch = f"nothing of {lines} was stored, and " if stored else ""
        return Stopped(
            f"{name}: {reason}{of_batch}{_go_on(stored)}",
            lines=[self._at(line, problem) for line, problem in found[:SHOWN_PROBLEMS]],
        )

    def _at(self, line: int, problem: str) -> str:
        return f"{self._file.name}:{line}: {problem}"


def _go_on(stored: int) -> str:
    """Return what is stored, and the option with which the command goes on."""
    return (
        f"the first {stored:,} rows are stored: go on with --skip {stored}"
        if stored
        else "nothing was stored"
    )
