"""What bodies are made of."""

from typing import ClassVar

from msgspec import Struct


class Fields(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """An object in a body, whose decoder refuses a field that it does not have, by the wire's names.

    `called` is what errors call the object; `shown_as` is the type of the answers that show it. A field of theirs that
    the object does not have is read-only.
    """

    called: ClassVar[str]
    shown_as: ClassVar[type | None] = None

    @classmethod
    def read_only(cls) -> frozenset[str]:
        """Return the wire's names of the fields that answers have and this object does not."""
        shown = cls.shown_as.__annotations__ if cls.shown_as else ()
        return frozenset(shown) - frozenset(cls.__struct_encode_fields__)
