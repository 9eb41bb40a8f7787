"""How the API says no: `{"error": "one clear sentence"}` and a status."""

import logging
from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

from api.http import json_response
from core.refusal import RefusalReason
from engine.coalescing import OverloadedError, is_held
from engine.outcomes import Rejected

logger = logging.getLogger(__name__)

STATUS_OF_REASON: Final = {
    RefusalReason.UNAUTHENTICATED: 401,
    RefusalReason.NOT_FOUND: 404,
    RefusalReason.INVALID: 422,
    RefusalReason.OUT_OF_POINTS: 422,
    RefusalReason.IDEMPOTENCY_KEY_REUSED: 422,
}
CODED_REASONS: Final = (RefusalReason.OUT_OF_POINTS, RefusalReason.IDEMPOTENCY_KEY_REUSED)
"""The reasons that the answer tells by a code beside the sentence."""


class ApiError(Exception):
    """An answer other than success."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        retry_after_s: int | None = None,
        allow: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.retry_after_s = retry_after_s
        self.allow = allow

    def response(self) -> HttpResponse:
        """Return the answer."""
        body = {"error": self.message} | ({"code": self.code} if self.code else {})
        headers = {"Retry-After": str(self.retry_after_s)} if self.retry_after_s else {}
        if self.allow:
            headers["Allow"] = ", ".join(self.allow)
        return json_response(body, status=self.status, headers=headers)


def invalid(message: str) -> ApiError:
    """Return the error for a body that can be read but not accepted."""
    return ApiError(422, message)


def require_method(request: HttpRequest, *allowed: str) -> None:
    """Raise ApiError where the request's method is none of these."""
    if request.method not in allowed:
        raise ApiError(405, f'Method "{request.method}" not allowed.', allow=allowed)


def not_found(what: str, key: object) -> ApiError:
    """Return the error for something that does not exist."""
    return ApiError(404, f"{what} not found: {key}.")


def too_large(bytes_max: int, what: str = "body") -> ApiError:
    """Return the error for a body, or a part of one, of more than `bytes_max` bytes."""
    return ApiError(413, f"The {what} is too large: at most {bytes_max // 1_000_000} MB is read.")


def broken_off() -> ApiError:
    """Return the error for a body of which the rest cannot be read, or will never come."""
    return ApiError(400, "The body is damaged, or ends before all of it has come.")


def rejection(rejected: Rejected) -> ApiError:
    """Return the error for what the rules refused."""
    code = rejected.reason.value if rejected.reason in CODED_REASONS else None
    return ApiError(STATUS_OF_REASON[rejected.reason], rejected.message, code=code)


def handle_exception(exception: Exception, context: dict[str, Any]) -> Response | HttpResponse | None:
    """Answer what a view raised, in the API's one shape. Django REST framework calls this."""
    return answer_exception(exception)


def answer_exception(exception: Exception) -> HttpResponse | None:
    """Return the answer to an exception that has one, None to any other."""
    if isinstance(exception, ApiError):
        return exception.response()
    if isinstance(exception, SuspiciousOperation):
        return _not_well_formed(exception).response()
    if isinstance(exception, exceptions.MethodNotAllowed):
        return ApiError(405, str(exception.detail)).response()
    if isinstance(exception, exceptions.APIException):
        return ApiError(exception.status_code, str(exception.detail)).response()
    if isinstance(exception, Http404):
        return ApiError(404, "There is nothing at this address.").response()
    if isinstance(exception, OverloadedError):
        return ApiError(503, "Too many requests wait already; try again soon.", retry_after_s=1).response()
    if is_held(exception):
        return ApiError(503, "Other work holds this user locked; try again soon.", retry_after_s=1).response()
    if isinstance(exception, OperationalError | InterfaceError):
        logger.error("The database does not answer.", exc_info=exception)
        return ApiError(503, "The database is away; try again soon.", retry_after_s=1).response()
    return None


def _not_well_formed(exception: SuspiciousOperation) -> ApiError:
    if isinstance(exception, RequestDataTooBig):
        return too_large(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    if isinstance(exception, TooManyFieldsSent):
        most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
        return ApiError(400, f"The query has too many parameters: at most {most:,} are read.")
    return ApiError(400, "The request is not well-formed.")


def answer_failure(exception: Exception, request: str) -> HttpResponse:
    """Return the answer to an exception that nobody thought of, and write it to the log with the request's line."""
    logger.error("%s failed.", request, exc_info=exception)
    return ApiError(500, "Something went wrong here; the server's log says what.").response()
