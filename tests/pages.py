"""What a test reads of an HTML page."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "source", "input", "br"}


@dataclass
class Page:
    """What is in a page.

    Attributes:
        tags: Every element with its attributes, in order.
        headings: Level and text of each heading.
        texts: Text by the chain of elements and classes around it, in order.
        unclosed: Elements without an end.
    """

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    headings: list[tuple[int, str]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    unclosed: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that is to be read, a space between pieces."""
        return " ".join(text for chain, text in self.texts if "script" not in chain and "style" not in chain)

    def of(self, tag: str) -> list[dict[str, str]]:
        """Attributes of all elements of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]


def parsed(html: str) -> Page:
    """A page, read as a browser does but for its mending of mistakes: an end without a beginning is an error."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    reader.page.unclosed = reader.open_tags
    return reader.page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self.open_tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open_tags.append(tag)
        if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self.page.headings.append((int(tag[1]), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if not text:
            return
        self.page.texts.append((" ".join(self.open_tags), text))
        if self.open_tags and len(self.open_tags[-1]) == 2 and self.open_tags[-1][0] == "h":
            level, before = self.page.headings[-1]
            self.page.headings[-1] = (level, f"{before} {text}".strip())
