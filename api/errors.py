"""How the API says no: `{"error": "one clear sentence"}` and a status."""

from typing import Any, Final

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

from api.http import json_response
from core.refusal import RefusalReason
from engine.outcomes import Rejected

STATUS_OF_REASON: Final = {
    RefusalReason.UNAUTHENTICATED: 401,
    RefusalReason.NOT_FOUND: 404,
    RefusalReason.INVALID: 422,
    RefusalReason.OUT_OF_POINTS: 422,
}


class ApiError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, message: str, *, code: str | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.retry_after_s = retry_after_s

    def response(self) -> HttpResponse:
        """Return the answer."""
        body = {"error": self.message} | ({"code": self.code} if self.code else {})
        headers = {"Retry-After": str(self.retry_after_s)} if self.retry_after_s else {}
        return json_response(body, status=self.status, headers=headers)


def invalid(message: str) -> ApiError:
    """Return the error for a body that can be read but not accepted."""
    return ApiError(422, message)


def not_found(what: str, key: object) -> ApiError:
    """Return the error for something that does not exist."""
    return ApiError(404, f"{what} not found: {key}.")


def too_large(bytes_max: int) -> ApiError:
    """Return the error for a body of more than `bytes_max` bytes."""
    return ApiError(413, f"The body is too large: at most {bytes_max // 1_000_000} MB is read.")


def rejection(rejected: Rejected) -> ApiError:
    """Return the error for what the rules refused."""
    code = rejected.reason.value if rejected.reason == RefusalReason.OUT_OF_POINTS else None
    return ApiError(STATUS_OF_REASON[rejected.reason], rejected.message, code=code)


def handle_exception(exception: Exception, context: dict[str, Any]) -> Response | HttpResponse | None:
    """Answer what a view raised, in the API's one shape. Django REST framework calls this."""
    return answer_exception(exception)


def answer_exception(exception: Exception) -> HttpResponse | None:
    """Return the answer to an exception that has one, None to any other."""
    if isinstance(exception, ApiError):
        return exception.response()
    if isinstance(exception, RequestDataTooBig):
        return too_large(settings.DATA_UPLOAD_MAX_MEMORY_SIZE).response()
    if isinstance(exception, exceptions.MethodNotAllowed):
        return ApiError(405, str(exception.detail)).response()
    if isinstance(exception, exceptions.APIException):
        return ApiError(exception.status_code, str(exception.detail)).response()
    if isinstance(exception, Http404):
        return ApiError(404, "There is nothing at this address.").response()
    return None


# --- msgspec's messages, in the words of whoever sent the body -------------------------------------------------------
_TYPES: Final = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
    "date": "a date (YYYY-MM-DD)",
    "uuid": "a UUID",
}


def describe(error: msgspec.ValidationError, root: str = "", *, whole: str = "The body") -> str:
    """Return one sentence that names the field and what is allowed there.

    `root` is where the value stands; `whole` is what it is called where the sentence is about all of it.
    """
    text, _, place = str(error).partition(" - at `$")
    path = (root + place.rstrip("`")).replace("[...]", "").lstrip(".")
    if missing := re.fullmatch(r"Object missing required field `(.+)`", text):
        return f"{path}.{missing[1]} is required.".lstrip(".")
    subject = path or whole
    if expected := re.fullmatch(r"Expected (`.+?`(?: [^,]*)?)(?:, got `(.+)`)?", text):
        return f"{subject} must be {_in_words(expected[1])}{_unlike(expected[1], expected[2])}."
    return f"{subject}: {text[0].lower()}{text[1:]}."


def _unlike(expected: str, got: str | None) -> str:
    # A fraction is a number too: "a whole number, not a number" would be a riddle.
    if got is None or (got == "float" and "int" in expected):
        return ""
    return f", not {_TYPES.get(got, got)}"


def _in_words(expected: str) -> str:
    kinds, _, condition = expected.lstrip("`").partition("`")
    words = " or ".join(_TYPES.get(kind, kind) for kind in kinds.split(" | "))
    condition = condition.replace("of length >= 1", "that is not empty").replace("of length <=", "of at most")
    if "of at most" in condition:
        condition += " items" if "array" in kinds else " characters"
    return words + condition.replace(">=", "of at least").replace("<=", "of at most")
