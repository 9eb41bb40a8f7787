"""How pure code says no."""

from enum import StrEnum


class RefusalReason(StrEnum):
    """Why an input was refused; the edges turn it into a status code."""

    UNAUTHENTICATED = "unauthenticated"
    NOT_FOUND = "not_found"
    INVALID = "invalid"
    OUT_OF_POINTS = "out_of_points"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"


class Refusal(Exception):  # noqa: N818 - not a fault of the program, but an answer
    """An input that the rules refuse, with one clear sentence for whoever sent it."""

    def __init__(self, reason: RefusalReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
