"""Classes that can't be served: each is refused in one line that says what would be right."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from backends.models.resources import DeclarationError, Resource
from backends.models.resources.class_checks import indexes_of
from backends.models.resources.loading import load_resources
from backends.mongo.resource_collections import collection_of
from tests.api.declared import DECLARED
from tests.contract.declared import DECLARED as OTHERS

HEAD = """
from typing import Annotated, Any, ClassVar, Generic, TypeVar
from pydantic import BaseModel, ConfigDict, Field, JsonValue, PrivateAttr, RootModel
from pydantic import computed_field, field_serializer, field_validator, model_validator
from eitherdb import Filterable, Reference, Resource, Sortable, Unique

T = TypeVar("T")


class Title(BaseModel):
    title: Annotated[str, Field(max_length=9)]


class Aliased(BaseModel):
    a: int = Field(alias="b")


class Computed(BaseModel):
    inner: list[Aliased] = []

    @computed_field
    @property
    def twice(self) -> int:
        return 2


class Frozen(BaseModel, frozen=True):
    @property
    def twice(self) -> int:
        return 2

"""
CASCADES = """
class A(Resource, path="as"):
    b_id: Annotated[str | None, Reference("bs", on_delete="cascade")] = None
    a_id: Annotated[str | None, Reference("as", on_delete="cascade")] = None
class B(Resource, path="bs"):
    a_id: Annotated[str | None, Reference("as", on_delete="cascade")] = None
"""
CYCLE = """
class A(Resource, path="as"):
    b_id: Annotated[str, Reference("bs", on_delete="cascade")]

class B(Resource, path="bs"):
    a_id: Annotated[str, Reference("as", on_delete="cascade")]
"""
BOOK = 'class Book(Resource, path="books"):\n    '


def load(folder: Path, body: str) -> tuple[type[Resource], ...]:
    """Load a file with this body."""
    file = folder / "library.py"
    file.write_text(HEAD + body)
    return load_resources([str(file)])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            f"{BOOK}n: int\nclass Novel(Book):\n    pages: int",
            "Novel: it inherits from the resource Book; let both inherit from a BaseModel with the f",
        ),
        (
            f'{BOOK}n: int\nclass Novel(Book, path="novels"):\n    pages: int',
            "Novel: it inherits from the ",
        ),
        (
            "class Book(Resource):\n    n: int",
            'Book: it has no path; write class Book(Resource, path="books")',
        ),
        (
            'class Book(Resource, Generic[T], path="books"):\n    n: T',
            "Book: it is generic; declare a class",
        ),
        ('class Book(Resource, Generic[T], path="books"):\n    n: int', "Book: it is generic; "),
        (
            'class Book(RootModel[int], Resource, path="books"):\n    pass',
            ", Book: `RootModel` does not support setting `model_config['extra']`; inherit from BaseModel",
        ),
        (f"{BOOK}pass", "Book: it has no field; declare one: title: "),
        (
            f"{BOOK}" + "\n    ".join(f"f{n}: int" for n in range(201)),
            "too many fields; declare at most 200",
        ),
        (
            f"{BOOK}" + "\n    ".join(f"f{n}: Annotated[int, Sortable()]" for n in range(31)),
            "Book: it needs 65 indexes, and MongoDB has at most 64; let fewer fields be Sortable, ",
        ),
        (
            'class Book(Resource, path="books", unique=[[f"f{n}" for n in range(33)]]):\n    '
            + "\n    ".join(f"f{n}: int" for n in range(33)),
            "Book: a unique group has 33 fields; let an index have at most 32",
        ),
        (
            f'class {"B" * 61}(Resource, path="books"):\n    n: int',
            "is no name of a resource; write it in ASCII as LineItem, with at most 60 letters",
        ),
        (
            'class Büch(Resource, path="books"):\n    n: int',
            "Büch: is no name of a resource; write it in ASC",
        ),
        (
            'class Book(Resource, path="bücher"):\n    n: int',
            "Book: the path 'bücher' can't be; use at most",
        ),
        (f"{BOOK}tïtel: int", "Book.tïtel: is no name for a field; use at most 40 lower-case letters"),
        (
            f"{BOOK}n: 'Missing'",
            "Book.n: the annotation names what is not defined; define or import it above",
        ),
        (
            f"{BOOK}m: int\n    n: 'list[Missing]'",
            "Book.n: the annotation names what is not defined; define or import it above",
        ),
        (
            f"{BOOK}n: int\n    title = 'x'",
            ", Book: A non-annotated attribute was detected: `title = 'x'`; annotate it with its type, or",
        ),
        (
            f"{BOOK}title = Field(max_length=3)",
            ", Book: Field 'title' requires a type annotation; annotate",
        ),
        (
            'class Book(Title, Resource, path="books"):\n    title = "x"',
            ", Book: Field 'title' defined on a base class was overridden by a non-annotated attribute; a",
        ),
        (
            f"{BOOK}n: int\n    _x: int = 5",
            "Book._x: a private attribute is not stored; declare a field, or",
        ),
        (f"{BOOK}n: int\n    __x: int = 5", "Book.__x: a private attribute is not stored; "),
        (f"{BOOK}_n: int", "Book._n: a private attribute is not stored; "),
        (
            f"{BOOK}json: int",
            "Book.json: the name is taken by every resource; write my_json or another name",
        ),
        (f"{BOOK}copy: int = 1", "Book.copy: the name is taken by every resource; "),
        (f"{BOOK}before_add: int", "Book.before_add: "),
        (
            f"{BOOK}n: int\n    @property\n    def id(self): return 1",
            "Book.id: it replaces an attribute of every resource; give it another name",
        ),
        (f"{BOOK}n: int\n    def copy(self): return 1", "Book.copy: it replaces an attribute of every "),
        (
            f"{BOOK}n: int\n    def __init__(self, **values): super().__init__(**values)",
            "Book.__init__: it replaces an attribute of every resource; write a validator or a hook",
        ),
        (
            f"{BOOK}n: int\n    def model_post_init(self, context): pass",
            "Book.model_post_init: it replaces",
        ),
        (
            f'{BOOK}n: int\n    model_config = ConfigDict(extra="forbid")',
            "Book.model_config: extra can't be set: it would not hold for changes; leave model_config o",
        ),
        (f"{BOOK}n: int\n    model_config = ConfigDict(strict=True)", "Book.model_config: strict can't be"),
        (
            f"{BOOK}n: int\n    @computed_field\n    @property\n    def m(self) -> int: return 1",
            "Book.m: a computed field is not stored; compute it in a route of your own",
        ),
        (
            f'{BOOK}n: int\n    @field_serializer("n")\n    def shown(self, n): return 1',
            "Book.shown: a serializer is not stored",
        ),
        (
            f'{BOOK}n: int\n    @model_validator(mode="after")\n    async def rule(self): return self',
            "Book.rule: a validator waits for nothing; write it without async",
        ),
        (
            f'{BOOK}n: int\n    @field_validator("m")\n    def rule(cls, n): return n',
            ", Book: Decorators defined with incorrect fields: Book.rule; name fields of the class",
        ),
        (
            f"{BOOK}n: Aliased",
            "Book.n: Aliased.a: a nested field has an alias, or is excluded; give it the name that clients",
        ),
        (f"{BOOK}n: Computed", "Book.n: Computed.twice: a computed field is not stored"),
        (
            f'{BOOK}n: int = Field(default_factory=lambda: "x")',
            "Book.n: the default 'x' of its factory is no value of the field; Input should be a val",
        ),
        (
            f"{BOOK}n: int = Field(default_factory=lambda: 1 / 0)",
            "Book.n: its default_factory raises ZeroDiv",
        ),
        (
            f'{BOOK}m: int = 1\n    n: int = Field(default_factory=lambda data: data["m"])',
            "Book.n: its default_factory takes the other fields; write a hook: def before_add(self)",
        ),
        (
            f"{BOOK}n: dict[str, JsonValue] = Field(default_factory=lambda: {{'a': {{1}}}})",
            "Book.n: the default {'a': {1}} of its factory is no value of the field; input was not a",
        ),
        (
            f'{BOOK}n: int\nclass Book(Resource, path="others"):\n    n: int',
            "Book: two classes have this name",
        ),
        (
            f'{BOOK}n: int\nclass Other(Resource, path="books"):\n    n: int',
            "Other: Book has the path books too",
        ),
        (
            CYCLE,
            "A.b_id: no row can be the first, because each needs another: A.b_id -> B.a_id -> A.b_id",
        ),
        (
            CASCADES,
            "A.b_id: a deletion would go round in a circle: A.b_id -> B.a_id -> A.b_id; let one",
        ),
    ],
)
def test_class_is_refused_in_one_line(
    body: str, message: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """Without a warning beside it."""
    with pytest.raises(DeclarationError) as caught:
        load(tmp_path, body)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not recwarn.list


@pytest.mark.parametrize("name", ["q", "sort", "skip", "limit", "count", "cursor", "created_after"])
def test_parameter_of_lists_is_no_filter(name: str, tmp_path: Path) -> None:
    """A field may have the name; a filter may not."""
    with pytest.raises(
        DeclarationError, match=f"^Book.{name}: the query parameter of this name is taken; "
    ):
        load(tmp_path, f"{BOOK}{name}: Annotated[int, Filterable()]")
    (cls,) = load(tmp_path, f"{BOOK}{name}: Annotated[int, Sortable()]")
    assert cls.__resource__.sorts == ("created_at", name)


def test_class_may_have_methods_constants_and_mixins(tmp_path: Path) -> None:
    """They are not stored, and replace nothing."""
    body = """
class Book(Frozen, Title, Resource, path="books"):
    LIMIT: ClassVar[int] = 5
    title: Annotated[str, Field(max_length=5)]
    size: Title | None = None
    code: Annotated[str, Field(max_length=5)] = Field(default_factory=lambda: "abc")

    @property
    def shown(self) -> str:
        return f"{self.title} {self.LIMIT} {self.twice}"

    def __str__(self) -> str:
        return self.shown
"""
    (cls,) = load(tmp_path, body)
    assert str(cls.model_validate({"title": "a"})) == "a 5 2"
    assert [field.name for field in cls.__resource__.fields] == ["title", "size", "code"]


def test_default_of_a_factory_is_validated_each_time(tmp_path: Path) -> None:
    """What it returned when it was declared says nothing about the next call."""
    body = f"NUMBERS = iter([1, 2, 'x'])\n{BOOK}n: int = Field(default_factory=lambda: next(NUMBERS))"
    (cls,) = load(tmp_path, body)
    assert cls.model_validate({}).model_dump() == {"n": 2}
    with pytest.raises(ValueError, match="valid integer"):
        cls.model_validate({})


def test_output_of_a_module_is_no_output_of_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it prints goes to standard error; its own warnings are shown."""
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        load(tmp_path, f"import warnings\nprint('hello')\nwarnings.warn('mine')\n{BOOK}n: int")
    assert capsys.readouterr() == ("", "hello\n")
    assert [str(each.message) for each in shown] == ["mine"]


@pytest.mark.parametrize("cls", [*DECLARED, *OTHERS], ids=lambda cls: cls.__name__)
def test_indexes_are_counted_as_they_are_created(cls: type[Resource]) -> None:
    """The index of `_id` is one of them."""
    assert indexes_of(cls.__resource__) == 1 + len(collection_of(cls.__resource__).indexes)
