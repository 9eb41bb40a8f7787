"""What an answer says of parts of a request that were left out, though the request as a whole counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

Answer = TypeVar("Answer", bound=Mapping[str, object])

WARNINGS_MAX: Final = 100
"""How many warnings one answer has at most: a batch could give many thousands."""


@dataclass(frozen=True, slots=True)
class FieldWarning:
    """A field of the request that was left out, by its path such as `user.tz`, and why in one sentence."""

    field: str
    message: str


Warnings = Sequence[FieldWarning]


def with_warnings(answer: Answer, warnings: Warnings) -> Answer:
    """Return the answer with the field `warnings`, which it has only if there are any."""
    if not warnings:
        return answer
    return {**answer, "warnings": list(warnings[:WARNINGS_MAX])}  # type: ignore[return-value] # each answer's type has it
