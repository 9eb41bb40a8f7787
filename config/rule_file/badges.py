"""Uploaded badges of a file: they lie beside it, each under the hash of what it holds, as on the server."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, default_storage

from core.images import BADGE_FOLDER, BADGE_FORMATS, badge_name, reencode

UPLOADED: Final = f"{BADGE_FOLDER}/"
"""How the name of an uploaded badge begins; anything else is an address."""

NAME: Final = re.compile(rf"{UPLOADED}[0-9a-f]{{32}}\.({'|'.join(BADGE_FORMATS.values())})")


@dataclass
class Badges:
    """The badges beside a file in the folder `root` (None: it came through a pipe), and the server's own.

    Nothing is stored before `store`, so that a plan, or a file that is refused, leaves nothing behind.
    """

    root: Path | None
    storage: Storage = default_storage
    _waiting: dict[str, bytes] = field(default_factory=dict)

    def need(self, name: str) -> None:
        """See to it that the server will have this badge. Raises ValidationError where it is nowhere."""
        try:
            if name not in self._waiting and not self._is_on_server(name):
                self._waiting[name] = self._beside(name)
        except ValidationError as error:
            raise ValidationError({"badge": error.messages}) from error

    def _is_on_server(self, name: str) -> bool:
        if not NAME.fullmatch(name):
            raise ValidationError(f"«{name}» is no name of an uploaded badge, such as {UPLOADED}… as it was exported.")
        return self.storage.exists(name)

    def _beside(self, name: str) -> bytes:
        path = self.root / name if self.root else None
        if path is None or not path.is_file():
            where = f"at {path}" if path else "beside a file that comes through a pipe"
            raise ValidationError(f"«{name}» is neither on this server nor {where}: bring it along.")
        data = path.read_bytes()
        if badge_name(data, path.suffix[1:]) != name:
            raise ValidationError(f"«{path}» does not hold what its name says.")
        reencode(data)
        return data

    def store(self) -> None:
        """Put what was beside the file, and is needed, on the server."""
        for name, data in self._waiting.items():
            self.storage.save(name, ContentFile(data))

    def write(self, name: str) -> bool:
        """Put a badge of the server beside the file; tell whether the server has it."""
        if self.root is None or not self.storage.exists(name):
            return False
        path = self.root / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            with self.storage.open(name) as file:
                path.write_bytes(file.read())
        return True
