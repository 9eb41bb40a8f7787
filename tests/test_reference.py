"""The API reference as a file: made once, the same for everybody, and not sent again to who has it."""

import pytest
from django.test import Client

PATH = "/docs/openapi.yaml"


def test_who_has_the_reference_is_not_sent_it_again() -> None:
    first = Client().get(PATH)
    assert first.status_code == 200
    assert first.content.startswith(b"openapi: 3.")
    assert first.headers["Cache-Control"] == "public, max-age=300"
    etag = first.headers["ETag"]
    assert etag.startswith('"')
    again = Client().get(PATH, headers={"If-None-Match": f'"older", {etag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["ETag"], again.headers["Cache-Control"]) == (etag, "public, max-age=300")
    assert Client().get(PATH, headers={"If-None-Match": '"older"'}).content == first.content


@pytest.mark.parametrize("query", ["version=2", "version=%00", "lang=de", "format=xml", "&" * 100, "%ff=%ff"])
def test_it_is_the_same_whatever_is_asked_beside(query: str) -> None:
    expected = Client().get(PATH)
    answer = Client().get(f"{PATH}?{query}", headers={"Accept": "text/html", "Accept-Language": "de"})
    assert (answer.status_code, answer.content) == (200, expected.content)
    assert answer.headers["ETag"] == expected.headers["ETag"]


def test_it_comes_as_json_too() -> None:
    yaml = Client().get(PATH)
    for answer in (
        Client().get(PATH, headers={"Accept": "application/vnd.oai.openapi+json"}),
        Client().get(f"{PATH}?format=json"),
    ):
        assert answer.json()["info"]["title"] == "Pointsmith"
        assert answer.headers["ETag"] != yaml.headers["ETag"]


def test_it_can_only_be_read() -> None:
    assert Client().post(PATH).status_code == 405
    assert Client().head(PATH).status_code == 200


def test_every_operation_declares_what_any_can_answer() -> None:
    paths = Client().get("/docs/openapi.yaml?format=json").json()["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            declared = operation["responses"].keys()
            assert {"405", "503"} <= declared, (path, method)
            assert {"408", "413", "415"} <= declared or "requestBody" not in operation, (path, method)
