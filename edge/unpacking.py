"""Bodies that come compressed."""

import zlib
from collections.abc import Callable, Iterator
from typing import Final

from api.errors import ApiError

Unpack = Callable[[bytes, bool], Iterator[bytes]]

CHUNK_BYTES: Final = 65_536
"""How much is unpacked at a time, so that a size is noticed to be too large before it takes memory."""

GZIP_WBITS: Final = 31


def unpacker(encoding: bytes | None) -> Unpack | None:
    """Return what turns the parts of a body, and whether each is the last, into plain parts; None where they are plain.

    Raises ApiError where the `Content-Encoding` is none that is read here, and later where a part is damaged.
    """
    name = encoding.strip().lower() if encoding else b""
    if name in (b"", b"identity"):
        return None
    if name in (b"gzip", b"x-gzip"):
        return _Gunzip().unpack
    raise ApiError(415, "The Content-Encoding must be gzip, or absent.")


class _Gunzip:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=GZIP_WBITS)

    def unpack(self, part: bytes, is_last: bool) -> Iterator[bytes]:
        try:
            while not self._stream.eof:
                plain = self._stream.decompress(part, CHUNK_BYTES)
                yield plain
                part = self._stream.unconsumed_tail
                if not part and len(plain) < CHUNK_BYTES:
                    break
        except zlib.error as error:
            raise ApiError(400, f"The body is not readable gzip: {error}.") from error
        if part or self._stream.unused_data or (is_last and not self._stream.eof):
            raise ApiError(400, "The body is not readable gzip: it ends too early, or more follows its end.")
