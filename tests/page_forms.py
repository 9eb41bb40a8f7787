"""What a browser sends of a form on a page, if nothing on it is touched."""

from html.parser import HTMLParser
from typing import Any, Final

Sent = dict[str, list[str]]

NOT_SENT: Final = {"submit", "button", "file", "image", "reset"}


def form_on(page: Any, form_id: str) -> Sent:
    """Return the values of the form with this id on a page, by the names of its inputs."""
    parser = _FormParser(form_id)
    parser.feed(page.content.decode())
    assert parser.seen, f"there is no form {form_id}"
    return parser.sent


class _FormParser(HTMLParser):
    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.form_id = form_id
        self.seen = self.inside = False
        self.sent: Sent = {}
        self.select: str | None = None
        self.is_multiple = False
        self.first_option: str | None = None
        self.textarea: str | None = None
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.inside = given.get("id") == self.form_id
            self.seen |= self.inside
        if not self.inside or "disabled" in given:
            return
        name = given.get("name") or ""
        if tag == "input" and name and given.get("type", "text") not in NOT_SENT:
            if given.get("type") not in ("checkbox", "radio") or "checked" in given:
                of_box = "on" if "checked" in given else ""
                self.sent.setdefault(name, []).append((given["value"] or "") if "value" in given else of_box)
        elif tag == "select":
            self.select, self.is_multiple, self.first_option = name, "multiple" in given, None
        elif tag == "option" and self.select:
            self._option(given)
        elif tag == "textarea":
            self.textarea, self.text = name, ""

    def _option(self, given: dict[str, str | None]) -> None:
        assert self.select
        value = given.get("value") or ""
        if self.first_option is None:
            self.first_option = value
        if "selected" in given:
            self.sent.setdefault(self.select, []).append(value)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        elif tag == "select" and self.select:
            if self.select not in self.sent and not self.is_multiple and self.first_option is not None:
                self.sent[self.select] = [self.first_option]
            self.select = None
        elif tag == "textarea" and self.textarea:
            # A browser passes over a line end right after the tag, and sends others as two characters.
            self.sent[self.textarea] = [self.text.removeprefix("\n").replace("\r\n", "\n").replace("\n", "\r\n")]
            self.textarea = None
