"""Search: `q` matches a part of the title or description, in any case and without patterns."""

from __future__ import annotations

import pytest

from backends.models import Item, ItemChanges, ItemFilter, NewItem, Page, User
from backends.protocols import Backend

from .expectations import changed

pytestmark = pytest.mark.rule("Search")

_I_DOT, _DOTLESS_I, _LONG_S, _KELVIN = "\u0130", "\u0131", "\u017f", "\u212a"
_NFC, _NFD, _CAPITAL_NFC = "\u00e9", "e\u0301", "\u00c9"

# A text and parts of it that match.
FOUND: dict[str, tuple[str, tuple[str, ...]]] = {
    "whole, start, middle, end": ("The Engine weaves", ("the engine weaves", "THE", "ngine W", "ves", "e")),
    "sharp s": ("Straße", ("STRASSE", "straße", "strasse", "STRA\u1e9eE", "ß", "s", "SS", "rass")),
    "two s": ("STRASSE", ("straße", "\u1e9e", "ß")),
    "capital sharp s": ("\u1e9e", ("ß", "ss", "SS", _LONG_S * 2)),
    "dotted I": (f"{_I_DOT}stanbul", ("i\u0307", _I_DOT, f"{_I_DOT}STANBUL", "i", "\u0307stan")),
    "i with a dot": ("i\u0307", (_I_DOT, "I\u0307")),
    "dotless i": (_DOTLESS_I, (_DOTLESS_I,)),
    "long s": (f"Con{_LONG_S}olation", ("consol", "CONSOL", _LONG_S, "s")),
    "s": ("sS", (_LONG_S, _LONG_S * 2)),
    "Kelvin": (f"5 {_KELVIN}", ("5 k", "K", _KELVIN)),
    "k": ("k", (_KELVIN, "K")),
    "Angstrom": ("\u212b", ("\u00e5", "\u00c5", "A\u030a", "a\u030a")),
    "Greek": ("ΣΊΣΥΦΟΣ", ("σίσυφος", "σίσυφοσ", "ς", "Φος", "\N{GREEK SMALL LETTER SIGMA}")),
    "final sigma": ("ὀδυσσεύς", ("ΣΣ", "Σ", "σς", "ύΣ")),
    "composed": (f"caf{_NFC}", (_NFC, _NFD, _CAPITAL_NFC, "E\u0301", "CAFE\u0301", "caf")),
    "decomposed": (f"caf{_NFD}", (_NFC, _NFD, _CAPITAL_NFC, "E\u0301", f"f{_NFC}")),
    "marks in another order": ("q\u0323\u0307", ("q\u0307\u0323", "Q\u0323\u0307")),
    "ligature": ("\ufb01ne", ("FINE", "fi", "\ufb01", "i")),
    "Deseret": ("\U00010400", ("\U00010428",)),
    "emoji": ("a\U0001f600b", ("\U0001f600", "A\U0001f600B")),
    "per cent": ("100% sure", ("%", "0%", "% s")),
    "underscore": ("snake_case", ("_", "E_C")),
    "backslash": ("C:\\new\\E", ("\\", ":\\n", "\\N", "\\e")),
    "slash": ("a/b/%", ("/", "/b/", "/%")),
    "stars and marks": ("a*b?c", ("*", "?", "*b?")),
    "point": ("v1.2", (".", "1.2")),
    "brackets": ("f(x)[y]{z}<w>", ("(", ")", "(x)", "[", "]", "[y]", "{", "{z}", "<w>")),
    "anchors": ("^a$b|c+d", ("^", "$", "^a$", "$b", "|", "c+d", "+")),
    "quotes": ("'O''Brien' \"x\" `y`", ("'", "''", '"', "`", "o''b")),
    "lines": ("a\nb\r\nc\td", ("\n", "a\nb", "\r\n", "\r", "\t", "B\r")),
    "other line ends": ("a\u2028b\x85c", ("\u2028", "\x85", "a\u2028B")),
    "spaces": ("  a  b ", (" ", "  a", "b ", "  ")),
    "code": ("#-&~ (?i)a.*(*UTF) %s :x $1", ("#", "-", "&", "~", "(?i)", ".*", "(*UTF)", "%S", ":X", "$1")),
    "control": ("a\x01b", ("\x01", "A\x01")),
    "replacement character": ("\ufffd", ("\ufffd",)),
    "noncharacters": ("a\uffff\ufffe\ufdd0", ("\uffff", "\ufffe", "A\uffff\ufffe", "\ufdd0")),
    "private use": ("\ue000\U0010ffff", ("\ue000", "\U0010ffff")),
    "255 letters": ("A" * 255, ("a" * 255, "a")),
    "255 astral letters": ("\U00010400" * 255, ("\U00010428" * 255, "\U00010428")),
    "255 that grow when folded": ("\u0390" * 255, ("\u0390" * 255, "\u1fd3" * 255)),
    "255 signs": (".*" * 127 + "(", (".*" * 127 + "(",)),
}
# A text and similar texts that are not a part of it.
NOT_FOUND: dict[str, tuple[str, tuple[str, ...]]] = {
    "letters": (
        "abc",
        ("ac", "abcd", "cb", "d", "b c", "a%c", "a_c", "a.c", "a*c", "%", "_", ".", "*", "?"),
    ),
    "expressions": (
        "abc",
        ("(", "(b)", "[b]", "^a", "c$", "^", "$", "a|b", "b+", "b?", "\\b", "\\w", "\\"),
    ),
    "more expressions": ("a1 \n", ("\\d", "\\s", "\\n", "\\x61", "\\u0061", "(?i)A", "\\Qa", "a{1}")),
    "null": ("a", ("null", "none", "undefined", "$ROOT", "title", "'", '"', "/")),
    "accent": (f"caf{_NFC}", ("e", "cafe", "\u0301", "\u00e8")),
    "decomposed accent": (f"caf{_NFD}", ("e", "cafe", "\u0301", "e\u0300")),
    "dotless i": (_DOTLESS_I, ("i", "I", _I_DOT)),
    "i": ("iI", (_DOTLESS_I, _I_DOT, "i\u0307")),
    "one s": ("s", ("ß", "ss", "\u1e9e")),
    "superscript": ("x\u00b2", ("2", "x2")),
    "wide letters": ("\uff21\uff42", ("a", "b", "ab")),
    "spaces": ("a\u00a0b\u3000c", (" ", "a b", "b c")),
    "invisible": ("a\u200bb\u00adc", ("ab", "bc", "abc")),
    "slash": ("a\\b", ("/", "a/b", "\\\\", "a\\\\b")),
    "replacement character": ("a\ufffdb", ("\uffff", "\ufffe", "A\ufffeB", "?")),
    "noncharacters": ("\uffff", ("\ufffd", "\ufffe", "\uffff\uffff")),
    "255 letters": ("a" * 254 + "b", ("a" * 255, "b" * 2)),
}


@pytest.fixture
async def items(backend: Backend, owner: User) -> list[Item]:
    """Return two items for a search, stored between two that never match."""
    await backend.items.add(NewItem(title="\u4e00"), owner_id=owner.id)
    items = [await backend.items.add(NewItem(title="\u4e8c"), owner_id=owner.id) for _ in range(2)]
    await backend.items.add(NewItem(title="\u4e09", description="\u4e00"), owner_id=owner.id)
    return items


async def _search(backend: Backend, q: str) -> Page[Item]:
    return await backend.items.list(where=ItemFilter(q=q))


async def _store_text(backend: Backend, items: list[Item], text: str) -> list[Item]:
    """Store the text as the title of one item and the description of another; return both, newest first."""
    titled, described = items
    return [
        await backend.items.update(described.id, ItemChanges(title="\u4e8c", description=text)),
        await backend.items.update(titled.id, ItemChanges(title=text)),
    ]


async def test_list_finds_a_part_of_title_or_description(backend: Backend, items: list[Item]) -> None:
    """A part of either field matches in any case; every character stands for itself."""
    for name, (text, parts) in FOUND.items():
        found = await _store_text(backend, items, text)
        for q in parts:
            assert await _search(backend, q) == Page.of(found, count=2, next=None), (name, ascii(q))


async def test_list_does_not_find_what_is_no_part(backend: Backend, items: list[Item]) -> None:
    """No character stands for another, and a null description never matches."""
    for name, (text, others) in NOT_FOUND.items():
        await _store_text(backend, items, text)
        for q in others:
            assert await _search(backend, q) == Page.of([], count=0, next=None), (name, ascii(q))


async def test_list_does_not_search_across_title_and_description(backend: Backend, owner: User) -> None:
    """A match can't start in the title and end in the description."""
    item = await backend.items.add(NewItem(title="ab", description="cd"), owner_id=owner.id)

    for q in ("bc", "abcd", "ab cd", "b\nc", "dab"):
        assert await _search(backend, q) == Page.of([], count=0, next=None), q
    for q in ("ab", "cd"):
        assert await _search(backend, q) == Page.of([item], count=1, next=None), q


async def test_list_by_empty_part_is_the_whole_list(backend: Backend, items: list[Item]) -> None:
    """Empty text is a part of every title."""
    page = await backend.items.list()
    assert page.count == 4
    assert items[0] in page.data
    assert await _search(backend, "") == page


async def test_search_follows_updates(backend: Backend, items: list[Item]) -> None:
    """Search matches the current text, not the text before an update."""
    item = items[0]
    nothing: Page[Item] = Page.of([], count=0, next=None)
    both = await backend.items.update(item.id, ItemChanges(title="Eins", description="Zwei"))
    assert await _search(backend, "EINS") == Page.of([both], count=1, next=None)

    retitled = await backend.items.update(item.id, ItemChanges(title="Drei"))
    assert retitled == changed(both, title="Drei")
    assert await _search(backend, "eins") == nothing
    for q in ("DREI", "ZWEI"):
        assert await _search(backend, q) == Page.of([retitled], count=1, next=None)

    retold = await backend.items.update(item.id, ItemChanges(description="Vier"))
    assert await _search(backend, "zwei") == nothing
    for q in ("drei", "vier"):
        assert await _search(backend, q) == Page.of([retold], count=1, next=None)

    cleared = await backend.items.update(item.id, ItemChanges(description=None))
    assert await _search(backend, "vier") == nothing
    assert await _search(backend, "drei") == Page.of([cleared], count=1, next=None)

    emptied = await backend.items.update(item.id, ItemChanges(description=""))
    assert await _search(backend, "drei") == Page.of([emptied], count=1, next=None)

    await backend.items.delete(item.id)
    assert await _search(backend, "drei") == nothing
