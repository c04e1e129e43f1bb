"""The prompt of `eitherdb shell`: IPython's where it is installed, or else Python's own."""

from __future__ import annotations

import sys
from code import InteractiveConsole
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cli.shell import ONE_LINE

HISTORY = Path("~/.eitherdb_history")
HISTORY_LINES = 1_000


def interact(names: dict[str, Any], *, banner: str) -> None:
    """Run what is typed until Ctrl-D or `exit()`."""
    if find_spec("IPython"):
        _with_ipython(names, banner)
        return
    with _line_editing(names):
        _Console(names).interact(banner, exitmsg="")


def one_line(exc: BaseException | None) -> str | None:
    """Return the line that stands for the traceback of an error whose message says all, or None."""
    if isinstance(exc, KeyboardInterrupt):
        return "KeyboardInterrupt"
    return f"{type(exc).__name__}: {exc}" if isinstance(exc, ONE_LINE) else None


class _Console(InteractiveConsole):
    def showtraceback(self) -> None:
        """Print the exception that is handled."""
        line = one_line(sys.exc_info()[1])
        if line is None:
            super().showtraceback()
        else:
            self.write(f"{line}\n")


@contextmanager
def _line_editing(names: dict[str, Any]) -> Iterator[None]:
    """Complete names with Tab, and keep the history in a file, where Python has readline."""
    try:
        import readline
        from rlcompleter import Completer
    except ImportError:  # on Windows
        yield
        return
    path = HISTORY.expanduser()
    with suppress(OSError):  # there is none yet
        readline.read_history_file(path)
    readline.set_history_length(HISTORY_LINES)
    readline.set_completer(Completer(names).complete)
    is_libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")
    try:
        yield
    finally:
        with suppress(OSError):  # a folder that can't be written to is no reason to fail; the mode is 0600
            readline.write_history_file(path)


def _with_ipython(names: dict[str, Any], banner: str) -> None:
    config = import_module("traitlets.config").Config()
    config.TerminalInteractiveShell.banner1 = f"{banner}\n"
    config.TerminalInteractiveShell.confirm_exit = False
    config.InteractiveShellApp.extra_extensions = [__name__]
    import_module("IPython").start_ipython(argv=[], user_ns=names, config=config)


def load_ipython_extension(shell: Any) -> None:
    """Let IPython, which calls this, print one line for errors whose message says all."""

    def show(_: Any, __: type[BaseException], exc: BaseException, ___: Any, **____: Any) -> None:
        print(one_line(exc), file=sys.stderr)  # noqa: T201 - a terminal program

    shell.set_custom_exc(ONE_LINE, show)
