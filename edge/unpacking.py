"""Bodies that come compressed."""

import zlib
from collections.abc import Callable, Iterator
from typing import Final

from api.errors import ApiError

Unpack = Callable[[bytes, bool], Iterator[bytes]]

CHUNK_BYTES: Final = 65_536
"""How much is unpacked at a time, so that a size is noticed to be too large before it takes memory."""

GZIP_WBITS: Final = 31

MEMBERS_MAX: Final = 1_000
"""How many members a body may have. Some tools make one of every 64 kB; to begin one costs more than its 20 bytes."""


def unpacker(encoding: bytes | None) -> Unpack | None:
    """Return what turns the parts of a body, and whether each is the last, into plain parts; None if they are plain.

    Raises ApiError where the `Content-Encoding` is none that is read here, and later where a part is damaged.
    """
    name = encoding.strip().lower() if encoding else b""
    if name in (b"", b"identity"):
        return None
    if name in (b"gzip", b"x-gzip"):
        return _Gunzip().unpack
    raise ApiError(415, "The Content-Encoding must be gzip, or absent.")


class _Gunzip:
    """Unpacks one or several members of gzip, one after the other, which are read as one text."""

    def __init__(self) -> None:
        self._stream, self._members = zlib.decompressobj(wbits=GZIP_WBITS), 1

    def unpack(self, part: bytes, is_last: bool) -> Iterator[bytes]:
        has_more = False
        while part or has_more:
            if self._stream.eof:
                self._begin_member()
            plain = self._decompress(part)
            yield plain
            part = self._stream.unused_data or self._stream.unconsumed_tail
            has_more = len(plain) == CHUNK_BYTES and not self._stream.eof
        if is_last and not self._stream.eof:
            raise _unreadable("it ends too early")

    def _begin_member(self) -> None:
        if self._members == MEMBERS_MAX:
            raise _unreadable(f"it has more than {MEMBERS_MAX:,} members")
        self._stream, self._members = zlib.decompressobj(wbits=GZIP_WBITS), self._members + 1

    def _decompress(self, part: bytes) -> bytes:
        try:
            return self._stream.decompress(part, CHUNK_BYTES)
        except zlib.error as error:
            raise _unreadable(f"{error}, in what follows its end" if self._members > 1 else f"{error}") from error


def _unreadable(problem: str) -> ApiError:
    return ApiError(400, f"The body is not readable gzip: {problem}.")
