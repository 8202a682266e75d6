"""The pages' templates: Jinja2 that escapes whatever is not marked as markup."""

import re
from functools import lru_cache
from html import escape
from importlib.resources import files
from posixpath import dirname, relpath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from okla_assets.viewer.words import Text

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def render(template: str, **context: Any) -> bytes:
    """A page of `templates/`. A name that is missing in the context raises UndefinedError."""
    return _environment().get_template(template).render(context).encode()


def address(key: str, page: str) -> str:
    """The link to one storage key on the page that is stored under another."""
    return quote(relpath(key, dirname(page)))


def asset(name: str) -> str:
    """The text of a file that lies beside this one."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    def escaped(value: Any) -> Markup:
        if isinstance(value, Text):
            return Markup(f'<span data-es="{escape(value.es)}">{escape(value.en)}</span>')
        # Python's own entities: with markupsafe's (&#39;) every page would change its bytes.
        return value if isinstance(value, Markup) else Markup(escape(str(value)))

    environment = Environment(
        autoescape=True,
        finalize=escaped,
        undefined=StrictUndefined,
        loader=FunctionLoader(lambda name: _compact(asset(f"templates/{name}"))),
    )
    environment.globals["attribute"] = _attribute
    return environment


def _attribute(name: str, text: Text) -> "Markup":
    """An attribute in English, and beside it the Spanish that the page's script puts there."""
    from markupsafe import Markup

    both = f'{name}="{escape(text.en)}" data-es-{name}="{escape(text.es)}"'
    return Markup(both)


def _compact(template: str) -> str:
    """Without line breaks: none between elements, a space between a tag's attributes."""
    tags = re.sub(r"<[a-z][^<>]*>", lambda tag: re.sub(r"\s*\n\s*", " ", tag[0]), template)
    joined = re.sub(r"(?<=[>}])\s*\n\s*|\s*\n\s*(?=[<{])", "", tags)
    return re.sub(r"\s*\n\s*", " ", joined)
