"""Files as spreadsheets write and read them: encodings, separators, white space, formulas, files saved again."""

import codecs
import io
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from hypothesis import example, given
from hypothesis import strategies as st

from core.csv import csv_response, read_text, trimmed, write_text
from core.services import archive
from imports import work
from imports.content import bytes_digest
from imports.models import ImportKind, ImportRun
from imports.services import read_file
from metrics.models import Metric
from points.models import PointsSystem
from tests.conftest import Api, Game
from tests.test_imports import check, confirmed, errors_of, known, send
from users.models import EndUser

ADJUSTMENTS = "user,system,points,reason\nalice,xp,50,Outage\nbob,xp,20,Outage\nalice,xp,-50,Paid twice\n"


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("olivia"))
    return client


def uploaded(operator: Client, kind: str, content: bytes) -> ImportRun:
    """Upload a file by the admin's form, and let it be checked and imported."""
    page = send(operator, kind, content).content.decode()
    assert ImportRun.objects.exists(), page
    work.work_on_imports()
    run = ImportRun.objects.get()
    assert (run.status, errors_of(run)) == ("checked", [])
    return confirmed(run)


# --- Encodings and separators ----------------------------------------------------------------------------------------
LINES = "id,name\nalice,Zoë 日本\nbob,Bob\n"
READ_FILES = {
    "UTF-8": LINES.encode(),
    "UTF-8 with a mark": LINES.encode("utf-8-sig"),
    "UTF-16, little end first": codecs.BOM_UTF16_LE + LINES.encode("utf-16-le"),
    "UTF-16, big end first": codecs.BOM_UTF16_BE + LINES.encode("utf-16-be"),
    "Excel's Unicode text": codecs.BOM_UTF16_LE + LINES.replace(",", "\t").replace("\n", "\r\n").encode("utf-16-le"),
    "semicolons": LINES.replace(",", ";").encode(),
    "bars": LINES.replace(",", "|").encode(),
    "old line ends": LINES.replace("\n", "\r").encode(),
    "a line that tells the separator": b"sep=;\r\n" + LINES.replace(",", ";").encode(),
    "that line after a mark, quoted": codecs.BOM_UTF8 + b'"sep=,"\n' + LINES.encode(),
    "that line with a tab": b"sep=\t\n" + LINES.replace(",", "\t").encode(),
    "blank lines first": b" ;\r\n;;\r\n" + LINES.replace(",", ";").encode(),
    "all quoted": b'"id","name"\n"alice","Zo\xc3\xab \xe6\x97\xa5\xe6\x9c\xac"\n"bob","Bob"\n',
}


@pytest.mark.parametrize("content", READ_FILES.values(), ids=READ_FILES)
def test_a_file_is_read_however_a_spreadsheet_wrote_it(operator: Client, api: Api, game: Game, content: bytes) -> None:
    run = uploaded(operator, "users", content)

    assert run.rows == 2
    assert api.get("/v1/users/alice").json()["name"] == "Zoë 日本"


def test_lines_are_counted_from_the_first_of_the_file(game: Game) -> None:
    run = check("users", "sep=;\n\n ;\nid;email\nalice;\n;;\nbob;nobody\n")
    assert errors_of(run) == [(7, "email", "email must be an email address.")]


@pytest.mark.parametrize("separator", [";", ",", "\t"])
def test_lines_of_nothing_but_white_space_are_passed_over(game: Game, separator: str) -> None:
    empty = f" {separator}\n\xa0{separator} \n{separator}\n \n\ufeff{separator}\n"

    run = confirmed(check("users", f"id{separator}name\n{empty}alice{separator}Alice\n{empty}"))

    assert (run.rows, run.tally) == (1, {"new users": 1})
    assert list(EndUser.objects.values_list("external_id", flat=True)) == ["alice"]


# --- White space -----------------------------------------------------------------------------------------------------
def test_ids_that_differ_by_the_white_space_around_them_are_one_user(game: Game) -> None:
    run = confirmed(check("users", "id,name\na,A\na ,B\n a,C\n\xa0a\u2003,D\n\ufeffa,E\n\ta,F\n"))

    assert run.tally == {"new users": 1}
    assert list(EndUser.objects.values_list("external_id", "name")) == [("a", "F")]


def test_an_id_of_white_space_alone_is_none(game: Game) -> None:
    run = check("users", "id,name\n\xa0 ,A\n")
    assert errors_of(run) == [(2, "id", "id must be a string that is not empty.")]


def test_an_id_that_no_user_can_have_is_named_as_by_the_api(game: Game) -> None:
    run = check("users", 'id,name\n"a\nb",A\n"\'\tc",C\n')
    assert errors_of(run) == [
        (2, "id", "The user's id must not have control characters such as line breaks."),
        (4, "id", "The user's id must not begin or end with white space."),
    ]


def test_keys_and_numbers_are_read_without_the_white_space_around_them(api: Api, game: Game) -> None:
    known(api, "alice")

    openings = confirmed(check("openings", "user,metric,total\n alice , lessons\xa0, 5 \n"))
    points = confirmed(check("adjustments", "user,system,points,reason\nalice\xa0,xp , +50 , Why \n"))

    assert (openings.errors, points.errors) == (0, 0)
    assert (api.points("alice")["total"], api.get("/v1/users/alice/metrics/lessons").json()["current"]) == (50, 5)


def test_a_user_has_one_opening_balance_however_the_id_is_spaced(api: Api, game: Game) -> None:
    known(api, "alice")
    run = check("openings", "user,metric,total\nalice,lessons,5\nalice ,lessons,6\n")
    assert errors_of(run) == [(3, "", "Line 2 is about the same user and metric: keep one of them.")]


def test_other_fields_than_texts_are_read_without_white_space_too(api: Api, game: Game) -> None:
    confirmed(check("users", "id,name,email,tz,subscribeToEmails\nalice, A ,alice@example.com , Asia/Tokyo, true \n"))

    alice = api.get("/v1/users/alice").json()
    assert (alice["name"], alice["email"], alice["tz"]) == (" A ", "alice@example.com", "Asia/Tokyo")


# --- Formulas --------------------------------------------------------------------------------------------------------
TRICKY = st.text(alphabet=st.sampled_from("'\"=+-@;|,\t\r\n \xa0\ufeff＝null0x"))  # noqa: RUF001
BEGINS_A_FORMULA = re.compile(r"[\s\ufeff\"]*[=+\-@＝＋－＠]|[\t\r\n]")  # noqa: RUF001


@given(TRICKY | st.text())
@example("x;=1+1")
@example("=1;'=1")
@example("' \t\"=")
@example("\n")
def test_every_text_is_read_back_as_it_was_written_and_begins_no_formula_wherever_it_is_split(text: str) -> None:
    cell = write_text(text)

    assert cell not in ("", "null")
    assert read_text(cell) == text
    assert not BEGINS_A_FORMULA.match(cell)
    assert not [part for part in re.split("[;|\t\r\n]", cell)[1:] if BEGINS_A_FORMULA.match(part)]


@pytest.mark.parametrize("text", ["", "'", "''", "null", "'null", "=1+1", "'=1", "-5", "+49", "@x", "\tx", "x", "it's"])
def test_what_older_versions_guarded_is_read_as_ever(text: str) -> None:
    guarded = re.fullmatch(r"'*(?:null|[=+\-@\t\r].*)?", text) is not None
    assert read_text(f"'{text}" if guarded else text) == text


NAMES = ("x;=1+1", "x\n=1+1", 'x;"=1+1"', "a\tb", "\nx", "＝1+1", " =1", "Zoë", "null", "", "x|@y", "it's; -5")  # noqa: RUF001


def test_names_that_a_spreadsheet_could_run_come_back_as_they_were(operator: Client, api: Api, game: Game) -> None:
    for number, name in enumerate(NAMES):
        api.send(
            "POST",
            "/v1/users",
            {"id": f"u{number}", "name": name, "deviceTokens": [f"{name};=1"], "attributes": {"plan": name}},
        )
    api.send("POST", "/v1/users", {"id": "y;=1+1"})
    fields = ("external_id", "name", "device_tokens", "attributes")
    before = list(EndUser.objects.order_by("external_id").values(*fields))
    answer: Any = operator.post("/admin/users/enduser/export/", {"resource": "0", "format": "0"})
    file = answer.getvalue()
    EndUser.objects.all().delete()

    uploaded(operator, "users", file)

    assert list(EndUser.objects.order_by("external_id").values(*fields)) == before
    parts = re.split('[;\r\n]|","|^"', file.decode("utf-8-sig"))
    assert not [part for part in parts if BEGINS_A_FORMULA.match(part)]


def test_numbers_stay_numbers_and_texts_like_them_are_guarded() -> None:
    answer = csv_response([["total", "name"], [-5, "-5"], [None, ""]], "totals.csv")
    assert answer.getvalue() == codecs.BOM_UTF8 + b'"total","name"\r\n"-5","\'-5"\r\n"","\'"\r\n'


def test_a_metric_with_a_key_like_a_formula_comes_back(operator: Client, api: Api, game: Game) -> None:
    Metric.objects.create(name="Minus", key="-minus")
    api.event("alice", 3, metric="-minus")
    answer: Any = operator.post("/admin/users/enduser/export/", {"resource": "1", "format": "0"})
    assert check("openings", answer.getvalue().decode("utf-8-sig")).status == "checked"


@given(st.text())
def test_trimming_leaves_no_white_space_around_and_all_within(text: str) -> None:
    cell = trimmed(text)
    assert cell in text
    assert cell == cell.strip() == cell.strip("\ufeff")


# --- Files that are saved again --------------------------------------------------------------------------------------
SAME = {
    "line ends": ADJUSTMENTS.replace("\n", "\r\n").encode(),
    "a mark": ADJUSTMENTS.encode("utf-8-sig"),
    "UTF-16": ADJUSTMENTS.encode("utf-16"),
    "semicolons": ADJUSTMENTS.replace(",", ";").encode(),
    "the order of columns": (
        b"reason,user,points,system\nOutage,alice,50,xp\nOutage,bob,20,xp\nPaid twice,alice,-50,xp\n"
    ),
    "the order of rows": b"user,system,points,reason\nalice,xp,-50,Paid twice\nbob,xp,20,Outage\nalice,xp,50,Outage\n",
    "quotation marks": b'"user","system","points","reason"\n"alice","xp","50","Outage"\n"bob","xp","20","Outage"\n'
    b'"alice","xp","-50","Paid twice"\n',
    "white space": ADJUSTMENTS.replace(",", " , ").encode(),
    "blank lines": ADJUSTMENTS.replace("\n", "\n,,,\n\n").encode(),
    "the sign of numbers": ADJUSTMENTS.replace(",50", ",+050").encode(),
    "a separator line": b"sep=,\n" + ADJUSTMENTS.encode(),
}
OTHER = {
    "points": ADJUSTMENTS.replace("20", "21"),
    "a reason": ADJUSTMENTS.replace("bob,xp,20,Outage", "bob,xp,20,outage"),
    "a user": ADJUSTMENTS.replace("bob", "bobby"),
    "a row twice": ADJUSTMENTS + "bob,xp,20,Outage\n",
    "a row less": ADJUSTMENTS.replace("bob,xp,20,Outage\n", ""),
    "what two cells say exchanged": ADJUSTMENTS.replace("bob,xp", "xp,bob"),
}


def digest(content: bytes) -> str:
    return read_file(ImportKind.ADJUSTMENTS, io.BytesIO(content)).digest


@pytest.mark.parametrize("content", SAME.values(), ids=SAME)
def test_adjustments_that_a_spreadsheet_saved_again_are_known(db: None, content: bytes) -> None:
    assert digest(content) == digest(ADJUSTMENTS.encode())


@pytest.mark.parametrize("content", OTHER.values(), ids=OTHER)
def test_adjustments_that_say_something_else_are_others(db: None, content: str) -> None:
    assert digest(content.encode()) != digest(ADJUSTMENTS.encode())


def test_adjustments_saved_again_are_refused_on_upload_unless_asked(operator: Client, api: Api, game: Game) -> None:
    known(api, "alice", "bob")
    uploaded(operator, "adjustments", ADJUSTMENTS.encode())

    page = send(operator, "adjustments", SAME["the order of columns"]).content.decode()

    assert "A file that says the same was imported on" in page
    assert ImportRun.objects.count() == 1
    send(operator, "adjustments", SAME["line ends"], again="on")
    assert ImportRun.objects.count() == 2


def test_a_file_that_was_imported_before_files_were_known_by_what_they_say_is_still_known(
    operator: Client, api: Api, game: Game
) -> None:
    known(api, "alice", "bob")
    run = uploaded(operator, "adjustments", ADJUSTMENTS.encode())
    ImportRun.objects.filter(id=run.id).update(digest=bytes_digest(io.BytesIO(ADJUSTMENTS.encode())))

    page = send(operator, "adjustments", ADJUSTMENTS).content.decode()

    assert "A file that says the same was imported on" in page


# --- Examples --------------------------------------------------------------------------------------------------------
EXAMPLE = "/admin/imports/importrun/example/"


def test_each_example_passes_its_check(operator: Client, api: Api, game: Game) -> None:
    users: Any = operator.get(f"{EXAMPLE}users/")
    assert users.getvalue().decode("utf-8-sig").splitlines()[0].endswith('"attributes.plan"')
    uploaded(operator, "users", operator.get(f"{EXAMPLE}users/").getvalue())
    assert api.get("/v1/users/example-1").json()["attributes"] == {"plan": "example"}
    for kind in ("openings", "adjustments"):
        ImportRun.objects.all().delete()
        file: Any = operator.get(f"{EXAMPLE}{kind}/")
        uploaded(operator, kind, file.getvalue())


def test_examples_pass_where_users_have_all_that_they_can_have_or_a_balance_already(
    operator: Client, api: Api, game: Game
) -> None:
    known(api, "alice", "bob")
    game.xp.max_points = 50
    game.xp.save()
    lines = "bob,xp,50,Full\nalice,xp,10,Some\n"
    confirmed(check("adjustments", f"user,system,points,reason\n{lines}"))
    confirmed(check("openings", "user,metric,total\nalice,lessons,1\nbob,lessons,1\nbob,flashcards,2\n"))
    for kind in ("openings", "adjustments"):
        ImportRun.objects.all().delete()
        file: Any = operator.get(f"{EXAMPLE}{kind}/")
        uploaded(operator, kind, file.getvalue())


def test_where_there_can_be_no_example_the_page_says_what_to_do_first(operator: Client) -> None:
    def told(kind: str) -> str:
        return operator.get(f"{EXAMPLE}{kind}/", follow=True).content.decode()

    page = operator.get("/admin/imports/importrun/add/").content.decode()
    for text, kind in (("Set up a metric", "openings"), ("Set up a points system", "adjustments")):
        assert text in page
        assert f"{text} first." in told(kind)
    Metric.objects.create(name="Lessons", key="lessons")
    PointsSystem.objects.create(name="XP", key="xp")
    assert "Import users first." in told("openings")
    assert "Import users first." in told("adjustments")
    uploaded(operator, "users", operator.get(f"{EXAMPLE}users/").getvalue())


# --- Archived attributes ---------------------------------------------------------------------------------------------
def test_what_is_stored_under_an_archived_attribute_can_be_removed_by_a_file(api: Api, game: Game) -> None:
    api.send("POST", "/v1/users", {"id": "alice", "attributes": {"plan": "pro"}})
    archive(row=game.plan)

    refused = check("users", "id,attributes.plan\nalice,free\n")
    confirmed(check("users", "id,attributes.plan\nalice,null\nbob,null\ncarol,\n"))

    how = "An attribute that is archived or being emptied takes no values; null removes one."
    message = f"Invalid attribute keys: plan. {how}"
    assert errors_of(refused) == [(2, "attributes.plan", message)]
    assert api.get("/v1/users/alice").json()["attributes"] == {}
