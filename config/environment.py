"""Reading the environment strictly, so that an error names the setting and says what it may be."""

import re
from typing import Final

import environ
from django.core.exceptions import ImproperlyConfigured

WHOLE: Final = re.compile(r"[+-]?[0-9]{1,15}")
NUMBER: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")


SWITCHES: Final = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)


class Environment(environ.Env):
    """The environment, with numbers and switches that are read strictly. One that is empty is not set."""

    def switch(self, name: str) -> bool:
        """Return whether the setting is on; it is off unless it is set. Raises ImproperlyConfigured."""
        text = self._text(name)
        if text and text.lower() not in SWITCHES:
            raise _refusal(name, "true or false", text, "")
        return SWITCHES.get(text.lower(), False)

    def whole(self, name: str, *, default: int, at_least: int, at_most: int | None = None, why: str = "") -> int:
        """Return a whole number. Raises ImproperlyConfigured, with `why` it may not be any other."""
        text = self._text(name)
        if not text:
            return default
        value = int(text) if WHOLE.fullmatch(text) else None
        if value is None or value < at_least or (at_most is not None and value > at_most):
            allowed = f"of at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"
            raise _refusal(name, f"a whole number {allowed}", text, why)
        return value

    def positive(self, name: str, *, default: float, why: str = "") -> float:
        """Return a number of more than 0, which may have decimals. Raises ImproperlyConfigured."""
        text = self._text(name)
        if not text:
            return default
        value = float(text) if NUMBER.fullmatch(text) else 0
        if value <= 0:
            raise _refusal(name, "a number of more than 0, such as 30 or 0.5", text, why)
        return value

    def _text(self, name: str) -> str:
        return str(self.str(name, default="")).strip()


def _refusal(name: str, allowed: str, text: str, why: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} must be {allowed}{f': {why}' if why else ''}. It is {text!r}.")
