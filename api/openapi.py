"""The API reference: schemas from the types that read the bodies and write the answers, so it cannot drift."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from api.bodies import BatchedEvent, CompletionBody, EventBody
from api.events import BATCH_MAX, BATCH_PATH, BatchJson
from engine.render import EventJson
from users.fields import IdentifiedUser, UserFields

_COMPONENTS: Final[dict[str, Any]] = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {"type": "string", "description": "What is wrong and what is allowed, in one sentence."},
            "code": {
                "type": "string",
                "description": (
                    "`out_of_points` if a trigger blocked the event; `idempotency_key_reused` if the key was used for "
                    "another event."
                ),
            },
        },
    },
    "Issue": {
        "type": "object",
        "required": ["severity", "message"],
        "properties": {
            "index": {"type": "integer", "description": "Which item of the request, from 0."},
            "id": {"type": "string", "description": "The id that the item gave, when updating or deleting."},
            "severity": {"type": "string", "enum": ["error"]},
            "message": {"type": "string", "description": "Which field is wrong and what is allowed."},
        },
    },
}
_ERRORS: Final = {
    400: "The body is not readable JSON.",
    401: "The key is missing, unknown or revoked.",
    403: "The key is an application key, and this is not an operation of its user.",
    404: "It does not exist.",
    422: "The request is not valid.",
    429: "The key is used too often; `Retry-After` says in how many seconds to try again.",
}
_ERRORS_OF_THE_SERVER: Final = {
    405: "The address has no such method; `Allow` says which it has.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "The body is compressed by something other than gzip.",
    503: "The database is away, or too many requests wait; `Retry-After` says in how many seconds to try again.",
}
_WITHOUT_VERSIONS: Final = ("/admin-api/v1/metrics/events", "/admin-api/v1/webhook-events")
_FORGIVING: Final = {each.__name__ for each in (EventBody, BatchedEvent, CompletionBody, IdentifiedUser, UserFields)}
"""Bodies in which unknown fields are ignored, with a warning."""

_OF_ANY_KEY: Final = (403, 429)
"""What every operation can answer that needs a key."""


def schema_of(type_: Any) -> dict[str, Any]:
    """Return the JSON schema of a type, whose named parts become components of the reference."""
    (schema,), components = msgspec.json.schema_components([type_], ref_template="#/components/schemas/{name}")
    for name in components.keys() & _FORGIVING:
        components[name].pop("additionalProperties", None)
    _COMPONENTS.update(_with_numbers(components))
    numbered: dict[str, Any] = _with_numbers(schema)
    return numbered


def _with_numbers(schema: Any) -> Any:
    """Return the schema with decimals as the numbers that they are on the wire, not as msgspec's strings."""
    if isinstance(schema, list):
        return [_with_numbers(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if {"type": "string", "format": "decimal"} in schema.get("anyOf", []):
        return {"type": "number"}
    return {name: _with_numbers(value) for name, value in schema.items()}


def body_of(type_: Any) -> dict[str, Any]:
    """Return a request body of this type, for `extend_schema`."""
    return {"application/json": schema_of(type_)}


def json_of(type_: Any, description: str = "") -> OpenApiResponse:
    """Return an answer of this type, for `extend_schema`."""
    return OpenApiResponse(schema_of(type_), description=description)


def errors(*statuses: int) -> dict[int, OpenApiResponse]:
    """Return the errors that an operation can answer beyond those of any key, for `extend_schema`."""
    reference = {"$ref": "#/components/schemas/Error"}
    return {
        status: OpenApiResponse(reference, description=_ERRORS[status]) for status in sorted({*statuses, *_OF_ANY_KEY})
    }


def created_of(type_: Any, **more: Any) -> dict[int, OpenApiResponse]:
    """Return the answers of creating up to 100 items, which have `more` fields, for `extend_schema`."""
    answer = _many("created", type_, more)
    return {
        201: OpenApiResponse(answer, description="At least one was created."),
        200: OpenApiResponse(answer, description="None was created; the issues say why."),
    }


def updated_of(type_: Any, **more: Any) -> dict[int, OpenApiResponse]:
    """Return the answer of updating up to 100 items, which has `more` fields, for `extend_schema`."""
    answer = _many("updated", type_, more)
    return {200: OpenApiResponse(answer, description="What was updated, and an issue for each other.")}


def deleted_of(type_: Any, **more: Any) -> dict[int, OpenApiResponse]:
    """Return the answer of deleting up to 100 rows, which has `more` fields, for `extend_schema`."""
    answer = _many("deleted", type_, more)
    return {200: OpenApiResponse(answer, description="What was deleted, and an issue for each other.")}


def _many(name: str, type_: Any, more: Mapping[str, Any]) -> dict[str, Any]:
    issues = {"type": "array", "items": {"$ref": "#/components/schemas/Issue"}}
    others = {field: schema_of(its_type) for field, its_type in more.items()}
    return {
        "type": "object",
        "required": [name, "issues"],
        "properties": {name: {"type": "array", "items": schema_of(type_)}, "issues": issues, **others},
    }


def whole_number_parameter(name: str, least: int, most: int | None, default: int, description: str) -> OpenApiParameter:
    """Return a query parameter that is a whole number, for `extend_schema`."""
    limits = {"type": "integer", "minimum": least, "default": default} | ({"maximum": most} if most else {})
    return OpenApiParameter(name, limits, description=description)


def _event_operation() -> dict[str, Any]:
    """Return the description of the one operation that Django REST framework does not serve."""
    answer = {"application/json": {"schema": schema_of(EventJson)}}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "operationId": "metrics_event",
        "summary": "Report an event",
        "description": "Store what a user did and answer with everything that it changed.",
        "tags": ["v1"],
        "security": [{"ApiKeyAuth": []}],
        "parameters": [
            {"name": "key", "in": "path", "required": True, "schema": {"type": "string"}},
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "Of all events of a user and metric with one key, exactly one counts.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            },
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema_of(EventBody)}}},
        "responses": {
            "201": {"description": "The event was stored.", "content": answer},
            "202": {"description": "Its idempotency key was used before: nothing changed.", "content": answer},
            **{str(status): {"description": text, "content": error} for status, text in _ERRORS.items()},
        },
    }


def _batch_operation() -> dict[str, Any]:
    """Return the description of the batch of events, which Django REST framework does not serve either."""
    answer = {"application/json": {"schema": schema_of(BatchJson)}}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    events = {"type": "array", "minItems": 1, "maxItems": BATCH_MAX, "items": schema_of(BatchedEvent)}
    return {
        "operationId": "admin_metrics_batch_events",
        "summary": "Report a batch of events",
        "description": "Accept events to be processed in the background: all of them, or none where one is not valid.",
        "tags": ["admin-api"],
        "security": [{"ApiKeyAuth": []}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": events}}},
        "responses": {
            "202": {"description": "All events were stored and will be processed.", "content": answer},
            **{str(status): {"description": text, "content": error} for status, text in _ERRORS.items()},
        },
    }


def _complete_operation(operation: dict[str, Any]) -> None:
    """Say what holds for every operation: bodies are required and have a size, and the database can be away."""
    statuses = [405, 503]
    if body := operation.get("requestBody"):
        body["required"] = True
        statuses += [408, 413, 415]
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for status in statuses:
        operation["responses"][str(status)] = {"description": _ERRORS_OF_THE_SERVER[status], "content": error}


def _add_versions(method: str, operation: dict[str, Any]) -> None:
    """Say that answers have an ETag, and that changes can be made to depend on it."""
    for status, answer in operation["responses"].items():
        if status in ("200", "201"):
            answer["headers"] = {"ETag": {"description": "The version of what is shown.", "schema": {"type": "string"}}}
    if method == "get":
        return
    description = (
        "The ETag of an answer, or several: if what the call names was changed since, nothing is done. A row that "
        "changes in the moment before its own turn gets an issue instead where other rows of the call were done."
    )
    header = {"name": "If-Match", "in": "header", "description": description, "schema": {"type": "string"}}
    operation.setdefault("parameters", []).append(header)
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    operation["responses"]["412"] = {"description": "It was changed since: by whom, when and how.", "content": error}


def complete_schema(result: dict[str, Any], generator: SchemaGenerator, **_: Any) -> dict[str, Any]:
    """Add the event and the components to the reference. drf-spectacular calls this last."""
    result["paths"]["/v1/metrics/{key}/event"] = {"post": _event_operation()}
    result["paths"][BATCH_PATH] = {"post": _batch_operation()}
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            _complete_operation(operation)
            if path.startswith("/admin-api/") and path not in _WITHOUT_VERSIONS:
                _add_versions(method, operation)
    result["components"].setdefault("schemas", {}).update(_COMPONENTS)
    result["paths"] = dict(sorted(result["paths"].items()))
    return result
