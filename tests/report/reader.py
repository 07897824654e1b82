"""Reads pages for the tests."""

import re
from html.parser import HTMLParser


class Reader(HTMLParser):
    """Collects tags, references and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.data = ""
        self._inside = ""
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self.words)).replace("\u202f", " ")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self._inside = tag
        if values.get("class") == "choices":
            self._inside = "data"
        self.tags.append(tag)
        self.ids += [value for key, value in attrs if key == "id" and value]
        for key in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
            if values.get(key):
                self.references.append((tag, str(values[key])))

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self.data += data
        elif self._inside not in ("style", "script"):
            self.words.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""
