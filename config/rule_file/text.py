"""The file as YAML: plain values out of text and back, numbers exact, nothing guessed.

Keys are text whatever they look like, so that `no` or `2026` can be one. Of values only what is plainly a number,
true, false or null is something else than text: no dates, no `yes`, no times of sixty seconds.
"""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

import yaml

from config.rule_file.schema import RuleFileError
from core.json import plain_number

LINE_LENGTH: Final = 100
_INT: Final = "tag:yaml.org,2002:int"
_FLOAT: Final = "tag:yaml.org,2002:float"
_TEXT: Final = "tag:yaml.org,2002:str"

# Each is narrower than what PyYAML's dumper takes for something else than text, and so puts in quotes where it is text.
_RESOLVED: Final = {
    "tag:yaml.org,2002:null": (r"(?:~|null|)\Z", ["~", "n", ""]),
    "tag:yaml.org,2002:bool": (r"(?:true|false)\Z", ["t", "f"]),
    _INT: (r"[-+]?(?:0|[1-9][0-9]*)\Z", list("-+0123456789")),
    _FLOAT: (r"[-+]?[0-9]+\.[0-9]+\Z", list("-+0123456789")),
    "tag:yaml.org,2002:merge": (r"<<\Z", ["<"]),
}

_CONSTRUCTED: Final = {*_RESOLVED, _TEXT, "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map", None}
"""The tags of what a file can have; None is any other, which is refused."""


class _Loader(yaml.CSafeLoader):
    """Reads YAML as this module says."""

    yaml_implicit_resolvers: dict[str, Any] = {}
    yaml_constructors = {
        tag: construct for tag, construct in yaml.CSafeLoader.yaml_constructors.items() if tag in _CONSTRUCTED
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Take keys as text, and refuse one that is there twice: the last would quietly win."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be text", key.start_mark)
            if key.tag != "tag:yaml.org,2002:merge":
                key.tag = _TEXT
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"«{key.value}» is there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        """Refuse what the database cannot store."""
        value = super().construct_scalar(node)
        if "\x00" in value:
            raise yaml.constructor.ConstructorError(None, None, "text must not have NUL characters", node.start_mark)
        return value

    def construct_number(self, node: yaml.ScalarNode) -> Decimal:
        """Keep a number with a point exactly as it is written."""
        return Decimal(self.construct_scalar(node))


for _tag, (_pattern, _first) in _RESOLVED.items():
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), _first)
_Loader.add_constructor(_FLOAT, _Loader.construct_number)


def decimal_text(number: Decimal) -> str:
    """Return a number as people write it, and exactly: 10, 1.25, 0.000000001."""
    return f"{Decimal(plain_number(number)):f}"


class _Dumper(yaml.SafeDumper):
    """Writes YAML for people: lists indented, text of several lines as it reads, no anchors."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists below their key."""
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        """Write what comes twice twice."""
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Write several lines as lines, and what cannot be seen, such as other breaks of lines, with escapes."""
    if not text.replace("\n", "").isprintable():
        return dumper.represent_scalar(_TEXT, text, style='"')
    return dumper.represent_scalar(_TEXT, text, style="|" if "\n" in text else None)


def _represent_decimal(dumper: _Dumper, number: Decimal) -> yaml.ScalarNode:
    text = decimal_text(number)
    return dumper.represent_scalar(_FLOAT if "." in text else _INT, text)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(Decimal, _represent_decimal)


def read_yaml(data: bytes) -> Any:
    """Return what the text says, as mappings, lists, text, whole numbers, decimals, true, false and None.

    Raises RuleFileError where it is no YAML, or more than one document.
    """
    try:
        return yaml.load(data, Loader=_Loader)  # noqa: S506 - a safe loader, made stricter
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise RuleFileError([f"{place}{error.problem or error.context}."]) from error
    except yaml.YAMLError as error:
        raise RuleFileError([f"The file is not YAML in UTF-8: {error}"]) from error
    except (ValueError, ArithmeticError, RecursionError) as error:  # such as `!!int x`
        raise RuleFileError([f"The file has a value that cannot be read: {error}"]) from error


def write_yaml(sections: Mapping[str, str | int | date | Decimal | bool | dict[str, Any] | list[Any]]) -> str:
    """Return the sections as YAML, an empty line between two."""
    texts = [
        yaml.dump({name: value}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=LINE_LENGTH)
        for name, value in sections.items()
    ]
    return "\n".join(texts)
