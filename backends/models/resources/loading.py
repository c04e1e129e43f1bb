"""Loads the modules that declare resources: those of `RESOURCES`, and those of installed distributions.

A file or folder is loaded by its path, under a private module name. Its folder is not put on `sys.path`: a
user's `config.py` must not be taken for EitherDB's, nor EitherDB's for the user's.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from pydantic import PydanticUserError

from backends.models.resources.checks import check_together
from backends.models.resources.declaration import Resource, declared_meanwhile
from backends.models.resources.errors import DeclarationError
from backends.models.resources.names import check_imports, is_own, shown_path

GROUP = "eitherdb.resources"
"""The group of the entry points. The name is free, the value is a module that declares resources."""

_PRIVATE_NAME = re.compile(r"_eitherdb_resources_[0-9a-f]{12}_")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Declarations:
    """A module with declarations.

    Attributes:
        source: What `RESOURCES` or the entry point says, for messages.
        module: The module, which may also export `routers`.
        path: The file of the module, or the folder of the package.
        resources: The classes, in the order of their declaration.
    """

    source: str
    module: ModuleType
    path: Path
    resources: tuple[type[Resource], ...]


def load_resources(sources: Sequence[str] = ()) -> tuple[type[Resource], ...]:
    """Return the declared classes: see `load_declarations`."""
    return classes_of(load_declarations(sources))


def classes_of(declarations: Iterable[Declarations]) -> tuple[type[Resource], ...]:
    """Return the classes that the modules declare, in their order."""
    return tuple(each for module in declarations for each in module.resources)


def load_declarations(sources: Sequence[str] = ()) -> tuple[Declarations, ...]:
    """Load the modules of `RESOURCES`, in this order, and then the installed ones, by name.

    A module is executed once for each process.

    Args:
        sources: Paths of files and packages, relative to the working directory, or names of modules.

    Raises:
        DeclarationError: A module can't be loaded, or a declaration can't be served.
    """
    loaded: dict[Path, Declarations] = {}
    for source in sources:
        path = Path(os.path.expanduser(source))  # noqa: PTH111 - an unknown user is no error here
        if path.exists() or "/" in source or os.sep in source or source.endswith(".py"):
            found = _of_path(source, path.resolve())
        else:
            found = _of_module(source, source)
        loaded.setdefault(found.path, found)
    for name, value in _installed():
        found = _of_module(f"the entry point {name} = {value}", value)
        loaded.setdefault(found.path, found)
    declarations = tuple(loaded.values())
    check_together(classes_of(declarations))
    return declarations


@cache
def _installed() -> list[tuple[str, str]]:
    """Return the entry points. The look-up reads the metadata of all distributions, which takes 10 ms."""
    return sorted((point.name, point.value) for point in entry_points(group=GROUP))


def _of_path(source: str, path: Path) -> Declarations:
    """Load a file, or a folder with `__init__.py`, under a private module name."""
    if path.name == "__init__.py":
        path = path.parent
    is_package = path.is_dir()
    file = path / "__init__.py" if is_package else path
    if not path.exists():
        raise DeclarationError(f"RESOURCES={source}", "no such file", f"it would be {path}")
    if not file.is_file() or file.suffix != ".py":
        remedy = f"add {shown_path(file)}, which imports the declarations" if is_package else "name it .py"
        raise DeclarationError(f"RESOURCES={source}", "is no Python file or package", remedy)
    if imported := _imported(file):
        return _declarations(source, imported, path, _declared_in(imported))
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    name = f"_eitherdb_resources_{digest}_{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}"
    check_imports(path)
    with _collected(source, path, name) as collected:
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(
                name, file, submodule_search_locations=[str(path)] if is_package else None
            )
            if spec is None or spec.loader is None:  # only for another suffix than .py
                raise ImportError(f"can't load {file}")
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
    return _declarations(source, sys.modules[name], path, collected)


def _imported(file: Path) -> ModuleType | None:
    """Return the module that was imported from this file under a name of the user's, if any.

    A script that imports its declarations has one class, and not another one besides those that are served.
    """
    ending = str(Path(*file.parts[-2:]))
    for name, module in list(sys.modules.items()):
        # Not by getattr, at which some modules import others.
        found = getattr(module, "__dict__", {}).get("__file__")
        if not isinstance(found, str) or not found.endswith(ending) or _PRIVATE_NAME.match(name):
            continue
        if Path(found).resolve() == file:
            return module
    return None


def _declared_in(module: ModuleType) -> list[type[Resource]]:
    """Return the classes that an imported module and its submodules declare; of a reloaded one, the new."""
    prefix = f"{module.__name__}."
    found = [
        each
        for each in Resource.__subclasses__()
        if f"{each.__module__}.".startswith(prefix) and "__resource__" in vars(each)
    ]
    return list({(each.__module__, each.__qualname__): each for each in found}.values())


def _of_module(source: str, name: str) -> Declarations:
    """Import a module by its name."""
    if not _MODULE.fullmatch(name):
        raise DeclarationError(
            source, "is no file and no module", "give library.py, a folder, or a dotted module name"
        )
    if is_own(name.partition(".")[0]):
        raise DeclarationError(source, "is EitherDB's own module", f"give the path of yours: ./{name}.py")
    with _collected(source, None, name) as collected:
        importlib.import_module(name)
    module = sys.modules[name]
    file = Path(module.__file__ or name)
    return _declarations(source, module, file.parent if file.name == "__init__.py" else file, collected)


def _declarations(
    source: str, module: ModuleType, path: Path, collected: Iterable[type[Resource]]
) -> Declarations:
    """Return the classes of a module: those that were declared meanwhile, and those that it imports."""
    prefix = f"{module.__name__}."
    own = [each for each in collected if f"{each.__module__}.".startswith(prefix)]
    exported = [
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Resource) and "__resource__" in vars(each)
    ]
    resources = tuple(dict.fromkeys(each for each in (*own, *exported) if not _is_built_in(each)))
    # Only the first execution of a module declares; a later call of this process finds its result.
    resources = vars(module).setdefault("__eitherdb_resources__", resources)
    if not resources:
        raise DeclarationError(
            source, "it declares no resource", 'write class Book(Resource, path="books")'
        )
    return Declarations(source, module, path, resources)


def _is_built_in(cls: type[Resource]) -> bool:
    return cls.__module__ == "backends.models.items"


@contextmanager
def _collected(source: str, path: Path | None, name: str) -> Iterator[list[type[Resource]]]:
    """Collect the classes that the body declares; describe an error of the user's module in one line.

    Raises:
        DeclarationError: The module can't be loaded. It is then forgotten, and can be loaded again.
    """
    before = set(sys.modules)
    try:
        # Standard output is for what a command prints, such as a document.
        with declared_meanwhile() as collected, redirect_stdout(sys.stderr), warnings.catch_warnings():
            # The declaration is refused then, in one line.
            warnings.filterwarnings("ignore", r"Field name .* shadows an attribute", UserWarning)
            yield collected
    except (Exception, SystemExit) as exc:
        for each in set(sys.modules) - before:
            if f"{each}.".startswith(f"{name}."):
                del sys.modules[each]
        if isinstance(exc, DeclarationError):
            raise
        raise DeclarationError(*_described(exc, source, path, name)) from exc


def _described(exc: BaseException, source: str, path: Path | None, name: str) -> tuple[str, str, str]:
    """Return the place, the problem and the remedy of an exception of a user's module."""
    if path is None and isinstance(exc, ModuleNotFoundError) and f"{name}.".startswith(f"{exc.name}."):
        return source, "there is no such module", f"install it, or give its path: ./{name}.py"
    message = (str(exc).strip().splitlines() or ["no message"])[0]
    # FastAPI names a class with the private name of the module, and explains at length.
    message = _PRIVATE_NAME.sub("", message).partition(" If you are using")[0].rstrip(".")
    if isinstance(exc, SyntaxError) and exc.filename:
        return (
            f"{shown_path(exc.filename)}, line {exc.lineno}",
            f"{type(exc).__name__}: {exc.msg}",
            "correct it there",
        )
    folder = _folder(path, name)
    frames = traceback.extract_tb(exc.__traceback__)
    own = [frame for frame in frames if folder and Path(frame.filename).is_relative_to(folder)]
    place = f"{shown_path(own[-1].filename)}, line {own[-1].lineno}" if own else source
    if isinstance(exc, PydanticUserError):
        return _described_by_pydantic(exc, place, own[-1].line if own else None)
    return place, f"{type(exc).__name__}: {message}", _remedy(exc, path, name)


def _described_by_pydantic(exc: PydanticUserError, place: str, line: str | None) -> tuple[str, str, str]:
    """Return the place, the problem and the remedy of a class that pydantic refuses."""
    if found := re.match(r"class (\w+)", line or ""):
        place = f"{place}, {found[1]}"
    message = exc.message.partition(". ")[0].partition(" (use check_fields")[0]
    # A validator is named with the private name of the module, and the address of the class.
    message = re.sub(r"\w+\.(\w+):\d{9,}", r"\1", _PRIVATE_NAME.sub("", message))
    return place, message, _PYDANTIC_REMEDIES.get(exc.code or "", "correct it there")


_PYDANTIC_REMEDIES = {
    "model-field-missing-annotation": "annotate it with its type, or with ClassVar if it is no field",
    "model-field-overridden": "annotate it with its type",
    "root-model-extra": "inherit from BaseModel and not from RootModel: a resource has fields",
    "decorator-missing-field": "name fields of the class",
}


def _folder(path: Path | None, name: str) -> Path | None:
    """Return the folder of the user's code."""
    if path is not None:
        return path if path.is_dir() else path.parent
    try:
        spec = importlib.util.find_spec(name.partition(".")[0])
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _remedy(exc: BaseException, path: Path | None, name: str) -> str:
    if path is None or not isinstance(exc, ImportError):
        return "correct it there"
    folder = path if path.is_dir() else path.parent
    missing = (exc.name or "").partition(".")[0]
    is_relative = "no known parent package" in str(exc)
    is_beside = isinstance(exc, ModuleNotFoundError) and any(
        (each / missing).is_dir() or (each / f"{missing}.py").exists() for each in (folder, folder.parent)
    )
    if not is_relative and not is_beside:
        return "install it in EitherDB's environment, or correct the import"
    if path.is_dir():
        return f"write a relative import, such as `from . import {missing or name}`"
    return (
        f"make the folder a package with __init__.py, give RESOURCES={shown_path(folder)}, and write "
        f"`from . import {missing if is_beside else 'name'}`"
    )
