"""Markup that is escaped by construction: plain text becomes markup only by way of `text`."""

import unicodedata

__all__ = ["Content", "Markup", "join", "tag", "text"]

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
_EMPTY = frozenset({"meta", "br", "line", "rect", "circle", "path", "polygon", "polyline", "col", "wbr"})


class Markup(str):
    """A string that is HTML or SVG already; only this module makes one from anything but a literal."""

    __slots__ = ()


Content = str | Markup | None


def text(plain: str) -> Markup:
    """Return text as markup: special characters escaped, invisible and direction-changing ones spelt out.

    A file can name its parts as it likes; what it says is shown, and never runs, hides or reorders the page.

    Example:
        >>> text('<b onclick="x">') == "&lt;b onclick=&quot;x&quot;&gt;"
        True
        >>> text("a\\u202eb\\x00")
        'a\\\\u202eb\\\\u0000'
    """
    if isinstance(plain, Markup):
        return plain
    return Markup("".join(_ENTITIES.get(c) or (c if _shown(c) else f"\\u{ord(c):04x}") for c in plain))


def _shown(c: str) -> bool:
    """Whether a character can be looked at: no control, format, lone surrogate or line separator."""
    return c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp", "Cn", "Co")


def join(*content: Content) -> Markup:
    """Return pieces one after the other, escaping those that are plain text."""
    return Markup("".join(text(piece) for piece in content if piece is not None))


def tag(name: str, /, *content: Content, **attributes: str | float | bool | None) -> Markup:
    """Return an element; content that is plain text and attribute values are escaped.

    Args:
        name: the element's name, ours and never the file's.
        content: markup or plain text; None is left out.
        attributes: `_` at the end of a name is dropped and `_` within becomes `-`; True is a bare attribute,
            None and False leave it out; numbers are written short.

    Example:
        >>> tag("a", "x < y", href="#q", class_="b", aria_hidden="true")
        '<a href="#q" class="b" aria-hidden="true">x &lt; y</a>'
        >>> tag("rect", x=1.25, y=2.0)
        '<rect x="1.25" y="2"/>'
    """
    written = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        label = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(f" {label}")
        else:
            shown = value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
            written.append(f' {label}="{text(str(shown))}"')
    opening = f"<{name}{''.join(written)}"
    return Markup(f"{opening}/>" if name in _EMPTY else f"{opening}>{join(*content)}</{name}>")
