"""HTML that is escaped by construction: a plain string can only ever become text."""

from collections.abc import Iterable
from html import escape
from posixpath import dirname, relpath
from urllib.parse import quote

Attribute = str | int | float | bool | None
_VOID = frozenset({"br", "img", "input", "link", "meta"})


class Html(str):
    """Finished markup; any other string is text, and `tag` escapes it."""

    __slots__ = ()


def tag(name: str, /, *inside: str | Iterable[str], **attributes: Attribute) -> Html:
    """One element. `class_` stands for class, `data_src` for data-src; None and False leave out."""
    opened = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{opened}>")
    return Html(f"<{name}{opened}>{joined(*inside)}</{name}>")


def joined(*inside: str | Iterable[str]) -> Html:
    """Pieces one after the other."""
    return Html("".join(_safe(i) if isinstance(i, str) else joined(*i) for i in inside))


def data_block(json: str) -> Html:
    """JSON for a script to read; whatever it holds, it cannot end the element."""
    return Html('<script type="application/json">{}</script>'.format(json.replace("<", "\\u003c")))


def address(key: str, page: str) -> str:
    """The link to one storage key on the page that is stored under another."""
    return quote(relpath(key, dirname(page)))


def _safe(piece: str) -> str:
    return piece if isinstance(piece, Html) else escape(piece)


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
