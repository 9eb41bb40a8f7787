"""The API reference as a file. Each process makes it once: it is the same for everybody, and takes long to make."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from threading import Lock
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from rest_framework.renderers import BaseRenderer

from api.errors import require_method

KEEP_S: Final = 300
"""How long others may keep it without asking whether it has changed, as it does with a new version."""


@dataclass(frozen=True)
class Document:
    """The reference in one format, with what names its content."""

    content: bytes
    content_type: str
    etag: str


def reference(request: HttpRequest) -> HttpResponse:
    """Answer with the reference in YAML, or in JSON where the request asks for it, whatever else it says."""
    require_method(request, "GET", "HEAD")
    is_json = "json" in request.headers.get("Accept", "") or request.GET.get("format") == "json"
    document = _documents()["json" if is_json else "yaml"]
    headers = {"ETag": document.etag, "Cache-Control": f"public, max-age={KEEP_S}", "Vary": "Accept"}
    response = HttpResponse(document.content, content_type=document.content_type, headers=headers)
    return get_conditional_response(request, etag=document.etag, response=response) or response


def _documents() -> dict[str, Document]:
    """Return the documents; those who ask while they are made wait for them."""
    with _making:
        return _made()


_making: Final = Lock()


@cache
def _made() -> dict[str, Document]:
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return {
        "yaml": _document(OpenApiYamlRenderer(), schema, "application/vnd.oai.openapi; charset=utf-8"),
        "json": _document(OpenApiJsonRenderer(), schema, "application/vnd.oai.openapi+json; charset=utf-8"),
    }


def _document(renderer: BaseRenderer, schema: object, content_type: str) -> Document:
    content = renderer.render(schema)
    if isinstance(content, str):
        content = content.encode()
    return Document(content, content_type, f'"{sha256(content).hexdigest()[:32]}"')
