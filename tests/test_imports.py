"""CSV files that operators import: everything is checked first, nothing counts twice, and whatever is wrong is said."""

import gc
import io
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from engine.verify import verify
from imports import work
from imports.models import ERRORS_MAX, ImportKind, ImportRow, ImportRun, RowError
from imports.services import (
    USER_ROWS_MAX,
    cancel_import,
    confirm_import,
    read_file,
    retry_import,
    stage_rows,
)
from imports.tasks import cancel_forgotten
from metrics.models import Event
from points.models import PointsAdjustment, PointsAward, PointsBalance
from tests.conftest import Api, Game, make_game
from users.models import EndUser

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def upload(kind: str, text: str) -> ImportRun:
    """Upload a file as the operator maria does."""
    file = io.BytesIO(text.encode())
    content = read_file(ImportKind(kind), file)
    run = ImportRun.objects.create(
        kind=kind,
        file_name="file.csv",
        digest=content.digest,
        operator="maria",
        columns=content.columns,
        created=NOON,
    )
    stage_rows(run=run, file=file)
    return run


def check(kind: str, text: str) -> ImportRun:
    """Upload a file, and let it be checked."""
    run = upload(kind, text)
    work.work_on_imports()
    run.refresh_from_db()
    return run


def confirmed(run: ImportRun) -> ImportRun:
    """Confirm what was checked, and let it be imported."""
    confirm_import(run=run, now=NOON)
    work.work_on_imports()
    run.refresh_from_db()
    return run


def errors_of(run: ImportRun) -> list[tuple[int, str, str]]:
    return list(RowError.objects.filter(run=run).values_list("line", "column", "message"))


def known(api: Api, *users: str) -> None:
    for user in users:
        api.send("POST", "/v1/users", {"id": user})


# --- Users -----------------------------------------------------------------------------------------------------------
USERS = (
    "id,name,email,tz,signUpDate,subscribeToEmails,deviceTokens,attributes.plan\n"
    'alice,Alice,alice@example.com,Europe/London,2026-01-31,TRUE,"[""a"",""b""]",pro\n'
    "bob,,,,,,,\n"
)


def test_users_are_made_known_with_all_their_fields(api: Api, game: Game) -> None:
    run = confirmed(check("users", USERS))

    assert (run.status, run.rows, run.errors, run.tally) == ("done", 2, 0, {"new users": 2})
    alice = api.get("/v1/users/alice").json()
    assert {name: alice[name] for name in ("name", "email", "tz", "signUpDate", "subscribeToEmails")} == {
        "name": "Alice",
        "email": "alice@example.com",
        "tz": "Europe/London",
        "signUpDate": "2026-01-31",
        "subscribeToEmails": True,
    }
    assert (alice["deviceTokens"], alice["attributes"]) == (["a", "b"], {"plan": "pro"})
    assert api.get("/v1/users/bob").json()["name"] is None


def test_an_address_in_any_language_is_imported(api: Api, game: Game) -> None:
    confirmed(check("users", "id,email\nalice,jörg@bücher.example\n"))
    assert api.get("/v1/users/alice").json()["email"] == "jörg@bücher.example"


def test_an_empty_cell_changes_nothing_and_null_clears(api: Api, game: Game) -> None:
    confirmed(check("users", USERS))

    run = confirmed(check("users", "id;name;tz;attributes.plan\nalice;;null;null\n"))

    alice = api.get("/v1/users/alice").json()
    assert run.tally == {"changed users": 1}
    assert (alice["name"], alice["tz"], alice["attributes"]) == ("Alice", None, {})


def test_new_users_get_what_user_creation_triggers_pay_once(api: Api, game: Game) -> None:
    game.creation_trigger(7)

    confirmed(check("users", "id\nalice\nalice\nbob\n"))
    run = confirmed(check("users", "id\nalice\nbob\n"))

    assert run.tally == {"unchanged users": 2}
    assert [api.points(user)["total"] for user in ("alice", "bob")] == [7, 7]
    assert PointsAward.objects.count() == 2


def test_a_user_s_lines_count_in_their_order(api: Api, game: Game) -> None:
    lines = "id,email,subscribeToEmails,name\nalice,a@example.com,,First\nbob,,,\nalice,,true,Second\n"

    run = confirmed(check("users", lines))

    assert run.errors == 0
    assert api.get("/v1/users/alice").json()["name"] == "Second"


BAD_USERS = {
    "no id": (",Alice,,,,,,", "id", "id must be a string that is not empty."),
    "long id": (f"{'a' * 256},,,,,,,", "id", "id must be a string of at most 255 characters."),
    "long name": (f"a,{'a' * 256},,,,,,", "name", "name must be a string of at most 255 characters."),
    "email": ("a,,nobody,,,,,", "email", "email must be an email address."),
    "zone": ("a,,,Mars,,,,", "tz", "tz must be an IANA time zone name such as Europe/London."),
    "date": ("a,,,,31.1.2026,,,", "signUpDate", "signUpDate must be a date such as 2026-01-31."),
    "future": ("a,,,,2999-01-31,,,", "signUpDate", "signUpDate must not be after today in the user's time zone."),
    "flag": ("a,,,,,yes,,", "subscribeToEmails", "subscribeToEmails must be true or false."),
    "null flag": ("a,,,,,null,,", "subscribeToEmails", "subscribeToEmails must be true or false, not null."),
    "no email": (
        "a,,,,,true,,",
        "subscribeToEmails",
        "subscribeToEmails can be true only for a user with an email.",
    ),
    "tokens": (
        "a,,,,,,token-1,",
        "deviceTokens",
        'deviceTokens must be a JSON array such as ["token-1", "token-2"].',
    ),
    "token types": ("a,,,,,,[1],", "deviceTokens", "deviceTokens[0] must be a string, not a whole number."),
    "attribute": (
        f"a,,,,,,,{'a' * 1001}",
        "attributes.plan",
        "attributes.plan must be a string of at most 1000 characters.",
    ),
    "ragged": ("a,b", "", "The line has 2 cells, but the header has 8."),
}


@pytest.mark.parametrize(("line", "column", "message"), BAD_USERS.values(), ids=BAD_USERS)
def test_a_bad_line_of_a_user_says_what_is_allowed_and_nothing_is_stored(
    game: Game, line: str, column: str, message: str
) -> None:
    run = check("users", USERS + line + "\n")

    assert errors_of(run) == [(4, column, message)]
    assert (run.status, run.errors) == ("refused", 1)
    with pytest.raises(ValidationError, match="can be confirmed only once, when it was checked without errors"):
        confirm_import(run=run, now=NOON)
    work.work_on_imports()
    assert not EndUser.objects.exists()
    assert not ImportRow.objects.exists()


# --- Opening balances ------------------------------------------------------------------------------------------------
def test_openings_move_totals_and_fire_nothing(api: Api, game: Game) -> None:
    game.trigger(10, every=5)
    known(api, "alice", "bob")

    run = confirmed(
        check("openings", "user,metric,total\nalice,lessons,12.123456789\nbob,lessons,-3\nalice,flashcards,+7\n")
    )

    assert (run.status, run.tally) == (
        "done",
        {"users with a total of lessons": 2, "users with a total of flashcards": 1},
    )
    assert api.get("/v1/users/alice/metrics/lessons").json()["current"] == 12.123456789
    assert not PointsAward.objects.exists()
    assert api.event("alice", 3).json()["points"]["xp"]["added"] == 10


BAD_OPENINGS = {
    "unknown user": ("nobody,lessons,1", "user", "User not found: nobody."),
    "no user": (",lessons,1", "user", "user must be a string that is not empty."),
    "unknown metric": ("alice,steps,1", "metric", "Metric not found: steps."),
    "no metric": ("alice,,1", "metric", "metric must be the key of a metric."),
    "words": ("alice,lessons,many", "total", "total must be a number such as 12 or 12.5"),
    "comma": ('alice,lessons,"1,5"', "total", "total must be a number such as 12 or 12.5"),
    "ten places": ("alice,lessons,0.0123456789", "total", "with at most 9 decimals"),
    "too large": ("alice,lessons,1000000000000000", "total", "above -10^15 and below 10^15"),
    "not a number": ("alice,lessons,NaN", "total", "total must be a number such as 12 or 12.5"),
    "stored": ("carol,lessons,1", "user", "The user has an opening balance of lessons already."),
    "twice": ("bob,lessons,1", "", "Line 2 is about the same user and metric: keep one of them."),
}


@pytest.mark.parametrize(("line", "column", "message"), BAD_OPENINGS.values(), ids=BAD_OPENINGS)
def test_a_bad_opening_says_what_is_allowed_and_nothing_is_stored(
    api: Api, game: Game, line: str, column: str, message: str
) -> None:
    known(api, "alice", "bob", "carol")
    confirmed(check("openings", "user,metric,total\ncarol,lessons,1\n"))

    run = check("openings", f"user,metric,total\nbob,lessons,5\n{line}\n")

    ((at, where, why),) = errors_of(run)
    assert (at, where) == (3, column)
    assert message in why
    assert run.status == "refused"
    assert Event.objects.count() == 1


# --- Adjustments -----------------------------------------------------------------------------------------------------
ADJUSTMENTS = "user,system,points,reason\nalice,xp,50,Outage\nbob,xp,20,Outage\nalice,xp,-50,Paid twice\n"


def test_adjustments_stand_in_the_ledger_with_their_reason_and_who_uploaded_them(api: Api, game: Game) -> None:
    known(api, "alice", "bob")

    run = confirmed(check("adjustments", ADJUSTMENTS + "alice,energy,15,Full\n"))

    assert run.tally == {
        "xp given": 70,
        "xp taken": 50,
        "energy given": 10,
        "rows cut short by a maximum or by what the user has": 1,
    }
    ledger = PointsAdjustment.objects.filter(award__user__external_id="alice", award__system=game.xp)
    assert list(ledger.order_by("award__seq").values_list("award__awarded", "reason", "operator")) == [
        (50, "Outage", "maria"),
        (-50, "Paid twice", "maria"),
    ]


BAD_ADJUSTMENTS = {
    "unknown user": ("nobody,xp,1,Why", "user", "User not found: nobody."),
    "unknown system": ("alice,gold,1,Why", "system", "Points system not found: gold."),
    "no system": ("alice,,1,Why", "system", "system must be the key of a points system."),
    "zero": ("alice,xp,0,Why", "points", "points must be a whole number such as 50 or -20, not 0"),
    "fraction": ("alice,xp,1.5,Why", "points", "points must be a whole number such as 50 or -20, not 0"),
    "too many": ("alice,xp,9007199254740992,Why", "points", "at most 2^53 - 1 in size"),
    "no reason": ("alice,xp,1, ", "reason", "reason must have 1 to 500 characters."),
    "long reason": (f"alice,xp,1,{'a' * 501}", "reason", "reason must have 1 to 500 characters."),
    "nothing left": ("alice,xp,-1,Why", "points", "points: -1 xp would move nothing, the user has 0."),
}


@pytest.mark.parametrize(("line", "column", "message"), BAD_ADJUSTMENTS.values(), ids=BAD_ADJUSTMENTS)
def test_a_bad_adjustment_says_what_is_allowed_and_nothing_is_stored(
    api: Api, game: Game, line: str, column: str, message: str
) -> None:
    known(api, "alice", "bob")

    run = check("adjustments", f"{ADJUSTMENTS}{line}\n")

    ((at, where, why),) = errors_of(run)
    assert (at, where) == (5, column)
    assert message in why
    assert not PointsAward.objects.exists()


def test_the_check_sees_what_a_user_s_rows_do_to_each_other_however_far_apart(api: Api, game: Game) -> None:
    users = [f"user-{number}" for number in range(2 * work.CHUNK)]
    confirmed(check("users", "id\nzoe\n" + "".join(f"{user}\n" for user in users)))
    between = "".join(f"{user},xp,1,Why\n" for user in users)

    run = check("adjustments", f"user,system,points,reason\nzoe,xp,5,Why\n{between}zoe,xp,-5,Why\nzoe,xp,-1,Why\n")

    assert errors_of(run) == [(2 * work.CHUNK + 4, "points", "points: -1 xp would move nothing, the user has 0.")]


def test_the_same_adjustments_are_not_paid_twice_unless_asked(api: Api, game: Game) -> None:
    known(api, "alice", "bob")
    first, second, third = (check("adjustments", ADJUSTMENTS) for _ in range(3))
    confirmed(first)

    with pytest.raises(ValidationError, match="A file that says the same was imported already"):
        confirm_import(run=second, now=NOON)
    assert api.points("bob")["total"] == 20

    ImportRun.objects.filter(id=third.id).update(again=True)
    confirmed(third)
    assert api.points("bob")["total"] == 40


# --- Between the check and the import --------------------------------------------------------------------------------
def test_a_row_that_something_else_made_invalid_meanwhile_is_named_and_the_others_are_imported(
    api: Api, game: Game
) -> None:
    known(api, "alice", "bob")
    run = check("openings", "user,metric,total\nalice,lessons,5\nbob,lessons,6\n")
    confirmed(check("openings", "user,metric,total\nalice,lessons,1\n"))

    run = confirmed(run)

    assert (run.status, run.errors) == ("done", 1)
    assert errors_of(run) == [(2, "user", "The user has an opening balance of lessons already.")]
    assert Event.objects.count() == 2


@pytest.mark.parametrize("status", ["importing", "done", "cancelled", "failed"])
def test_it_can_be_confirmed_only_once(api: Api, game: Game, status: str) -> None:
    run = check("users", "id\nalice\n")
    ImportRun.objects.update(status=status)

    with pytest.raises(ValidationError, match="can be confirmed only once"):
        confirm_import(run=run, now=NOON)


def test_what_was_cancelled_is_not_imported_and_forgotten(game: Game) -> None:
    run = check("users", "id\nalice\n")
    cancel_import(run=run, now=NOON)

    assert work.work_on_imports() == 0
    assert not EndUser.objects.exists()
    assert not ImportRow.objects.exists()
    with pytest.raises(ValidationError, match="cannot be cancelled"):
        cancel_import(run=run, now=NOON)


def test_what_nobody_confirms_for_a_week_is_cancelled(game: Game) -> None:
    old, new = check("users", "id\nalice\n"), check("users", "id\nbob\n")
    ImportRun.objects.filter(id=old.id).update(created=timezone.now() - timedelta(days=8))
    ImportRun.objects.filter(id=new.id).update(created=timezone.now() - timedelta(days=6))

    cancel_forgotten()

    assert [ImportRun.objects.get(id=run.id).status for run in (old, new)] == ["cancelled", "checked"]
    assert ImportRow.objects.get().run_id == new.id


# --- Crashes ---------------------------------------------------------------------------------------------------------
class Crash(BaseException):
    """The worker is killed."""


def crashing_clock(after: int) -> Iterator[datetime]:
    """Yield the time `after` times; then the worker is gone."""
    for _ in range(after):
        yield NOON
    raise Crash


MANY = 2 * work.CHUNK + 5


def many_adjustments() -> ImportRun:
    confirmed(check("users", "id\n" + "".join(f"user-{number}\n" for number in range(MANY))))
    lines = "".join(f"user-{number},xp,5,Why\n" for number in range(MANY))
    return check("adjustments", "user,system,points,reason\n" + lines)


@pytest.mark.parametrize("readings", [0, 1, 2, 3, 4, 5, 6])
def test_after_a_crash_it_goes_on_where_it_was(game: Game, readings: int) -> None:
    run = many_adjustments()
    confirm_import(run=run, now=NOON)
    ticks = crashing_clock(readings)

    with pytest.raises((Crash, RuntimeError)):
        work.work_on_imports(clock=lambda: next(ticks))
    before = PointsAward.objects.count()
    run.refresh_from_db()
    assert (run.status, run.rows_done) == ("importing", before)

    assert work.work_on_imports() == MANY - before
    assert set(PointsBalance.objects.values_list("total", "seq")) == {(5, 1)}
    assert PointsAward.objects.count() == MANY
    run.refresh_from_db()
    assert (run.status, run.errors, run.tally) == ("done", 0, {"xp given": 5 * MANY})


def test_a_crash_during_the_check_repeats_no_error(game: Game) -> None:
    run = upload("openings", "user,metric,total\n" + "".join(f"user-{n},lessons,1\n" for n in range(MANY)))
    ticks = crashing_clock(1)

    with pytest.raises((Crash, RuntimeError)):
        work.work_on_imports(clock=lambda: next(ticks))
    work.work_on_imports()

    run.refresh_from_db()
    assert (run.status, run.errors, run.rows_done) == ("refused", MANY, MANY)
    assert RowError.objects.count() == MANY


@pytest.mark.django_db(transaction=True)
def test_many_workers_and_live_events_count_each_row_once() -> None:
    game = make_game()
    game.trigger(1)
    run = many_adjustments()
    confirm_import(run=run, now=NOON)
    api = Api(_key())

    def act(number: int) -> None:
        try:
            if number % 2:
                work.work_on_imports()
            else:
                assert api.event(f"user-{number}").status_code == 201
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(act, range(12)))
    work.work_on_imports()
    assert PointsAdjustment.objects.count() == MANY
    assert sum(PointsBalance.objects.values_list("total", flat=True)) == 5 * MANY + 6
    assert all(finding.count == 0 for finding in verify())


def _key() -> str:
    from access.services import create_api_key

    return create_api_key(name="tests")[1]


@pytest.mark.django_db(transaction=True)
def test_a_worker_leaves_alone_what_another_has_in_hand() -> None:
    make_game()
    upload("users", "id\nalice\n")

    def elsewhere() -> int:
        try:
            return work.work_on_imports()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other, transaction.atomic():
        ImportRun.objects.select_for_update().get()
        assert other.submit(elsewhere).result() == 0
    assert work.work_on_imports() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_runs_of_one_file_that_are_confirmed_at_once_one_is_imported() -> None:
    make_game()
    confirmed(check("users", "id\nalice\nbob\n"))
    runs = [check("adjustments", ADJUSTMENTS) for _ in range(4)]

    def confirm(run: ImportRun) -> bool:
        try:
            confirm_import(run=run, now=NOON)
        except ValidationError:
            return False
        else:
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(confirm, runs)) == 1
    work.work_on_imports()
    assert PointsAdjustment.objects.count() == 3


def test_what_nobody_foresaw_stops_one_import_says_so_and_holds_up_no_other(api: Api, game: Game) -> None:
    broken, good = upload("users", "id\nalice\n"), upload("users", "id\nbob\n")
    ImportRow.objects.filter(run=broken).update(cells=7)

    work.work_on_imports()

    assert [ImportRun.objects.get(id=run.id).status for run in (broken, good)] == ["failed", "checked"]
    ImportRow.objects.filter(run=broken).update(cells=["alice"])
    retry_import(run=broken)
    work.work_on_imports()
    assert ImportRun.objects.get(id=broken.id).status == "checked"


def test_what_does_not_fit_into_the_time_given_is_left_to_the_next_call(game: Game) -> None:
    upload("users", "id\nalice\n")
    assert work.work_on_imports(seconds_max=-1) == 0
    assert work.work_on_imports() == 1


# --- Limits ----------------------------------------------------------------------------------------------------------
def test_what_a_user_has_more_of_than_can_be_worked_on_together_is_named(api: Api, game: Game) -> None:
    known(api, "alice")
    lines = "alice,xp,1,Why\n" * (USER_ROWS_MAX + 2)

    run = check("adjustments", "user,system,points,reason\n" + lines)

    message = "One user can have at most 1,000 rows in a file: put the others into another file."
    assert errors_of(run) == [(line, "user", message) for line in (USER_ROWS_MAX + 2, USER_ROWS_MAX + 3)]
    assert (run.status, run.rows, run.rows_done) == ("refused", USER_ROWS_MAX + 2, USER_ROWS_MAX + 2)


def test_a_check_stops_once_it_is_clear_what_is_wrong(operator: Client, game: Game) -> None:
    run = check("adjustments", "user,system,points,reason\n" + "nobody,xp,0,Why\n" * 500 + ",xp,0,Why\n" * 12_000)

    assert (run.status, run.rows) == ("refused", 12_500)
    assert ERRORS_MAX <= run.errors == run.rows_done < ERRORS_MAX + 1000
    assert f"The check stopped after {run.rows_done:,} of 12,500 rows." in page_of(operator, run)


def memory_peak_bytes(rows: int) -> int:
    """Return what checking and importing a file of so many rows takes at most, beside the file."""
    lines = "".join(f"{rows}-{number},Learner {number}\n" for number in range(rows))
    run = upload("users", "id,name\n" + lines)
    gc.collect()
    tracemalloc.start()
    try:
        work.work_on_imports()
        run.refresh_from_db()
        confirmed(run)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_large_file_takes_no_more_memory_than_a_small_one(game: Game) -> None:
    memory_peak_bytes(500)  # fills caches
    small, large = memory_peak_bytes(1000), memory_peak_bytes(5000)
    assert large < 1.3 * small


# --- In the admin ----------------------------------------------------------------------------------------------------
@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("olivia"))
    return client


def send(client: Client, kind: str, content: bytes | str, **fields: str) -> Any:
    """Upload a file by the admin's form."""
    data = content if isinstance(content, bytes) else content.encode()
    file = SimpleUploadedFile("learners.csv", data, "text/csv")
    return client.post("/admin/imports/importrun/add/", {"kind": kind, "file": file, **fields}, follow=True)


def page_of(client: Client, run: ImportRun) -> str:
    return str(client.get(f"/admin/imports/importrun/{run.id}/change/").content.decode())


def test_an_operator_uploads_confirms_and_sees_it_done(operator: Client, api: Api, game: Game) -> None:
    assert "0 of 2 rows checked" in send(operator, "users", USERS).content.decode()
    work.work_on_imports()
    run = ImportRun.objects.get()
    page = page_of(operator, run)
    assert "Without errors: 2 rows can be imported as things are now." in page
    assert "2 new users" in page
    assert not EndUser.objects.exists()

    operator.post(f"/admin/imports/importrun/{run.id}/confirm/")
    work.work_on_imports()

    assert "2 rows imported." in page_of(operator, run)
    assert EndUser.objects.count() == 2
    assert ImportRun.objects.get().operator == "olivia"
    assert "learners.csv" in operator.get("/admin/imports/importrun/").content.decode()


def test_errors_are_shown_and_can_be_downloaded(operator: Client, game: Game) -> None:
    lines = "".join(f"user-{number},nobody\n" for number in range(150))
    send(operator, "users", "id,email\n" + lines)
    work.work_on_imports()

    run = ImportRun.objects.get()
    page = page_of(operator, run)
    assert "150 rows cannot be imported, so nothing was." in page
    assert page.count("email must be an email address.") == 100
    assert "confirm/" not in page
    file = operator.get(f"/admin/imports/importrun/{run.id}/errors/").getvalue().decode("utf-8-sig").splitlines()
    assert (len(file), file[:2]) == (
        151,
        ['"line","column","message"', '"2","email","email must be an email address."'],
    )


BAD_FILES: dict[str, tuple[str, bytes, str]] = {
    "empty": ("users", b"", "The file is empty: it needs a header line"),
    "blank lines": ("users", b"\n\n", "The file is empty: it needs a header line"),
    "header only": ("users", b"id,name\n", "The file has only a header: there are no rows to import."),
    "missing column": ("openings", b"user,total\na,1\n", "The column «metric» is missing"),
    "missing columns": ("adjustments", b"user\na\n", "The column «system», «points», «reason» is missing"),
    "unknown column": ("users", b"id,nmae\na,b\n", "The column «nmae» is not known: there can be id, name, email"),
    "attributes of another kind": (
        "openings",
        b"user,metric,total,attributes.plan\na,b,1,c\n",
        "The column «attributes.plan» is not known: there can be user, metric, total.",
    ),
    "unknown attribute": ("users", b"id,attributes.pln\na,b\n", "Invalid attribute keys: pln. Set them up as user"),
    "event's attribute": ("users", b"id,attributes.category\na,b\n", "Invalid attribute keys: category."),
    "a column twice": ("users", b"id,name,name\na,b,c\n", "The column «name» is there 2 times"),
    "a workbook": ("users", b"PK\x03\x04\x14\x00\x08\xff", "The file is a workbook or another archive, not CSV"),
    "an old workbook": (
        "users",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "The file is a workbook of an old Excel, not CSV",
    ),
    "compressed": ("users", b"\x1f\x8b\x08\x00", "The file is compressed, not CSV"),
    "no text": ("users", b"\x89\xffPNG", "Line 1 is not text in UTF-8"),
    "another encoding": (
        "users",
        "id,name\na,b\nb,Zoë\n".encode("cp1252"),
        "Line 3 is not text in UTF-8: the file may be in Windows-1252",
    ),
    "UTF-16 without a mark": ("users", "id\na\n".encode("utf-16-le"), "is it UTF-16 without a byte order mark"),
    "half of UTF-16": ("users", "id\na\n".encode("utf-16") + b"\x00", "is not text in UTF-16, as the file begins"),
    "broken UTF-16": (
        "users",
        "id\n".encode("utf-16") + b"\x00\xd8\n\x00",
        "Line 2, or one soon after it, is not text",
    ),
    "another separator": (
        "users",
        b"sep=^\nid^name\na^b\n",
        "The file says that «^» separates its cells: commas, semicolons",
    ),
    "NUL": ("users", b"id,name\na,b\x00c\n", "Line 2 has a NUL character"),
    "an open quote": ("users", b'id,name\na,b\nc,"d\ne,f\n', "From line 3 on, the file cannot be read"),
    "text after a quote": ("users", b'id,name\na,"b"c\n', "From line 2 on, the file cannot be read"),
    "a huge cell": ("users", b"id,name\na," + b"b" * 150_000, "From line 2 on, the file cannot be read"),
    "a huge line": ("users", b"id,name\na," + b"b," * 150_000, "Line 2 is too long: at most 200,000 characters"),
    "many columns": ("users", b"id," + b",".join(b"c%d" % n for n in range(600)) + b"\na\n", "at most 500 are read"),
}


@pytest.mark.parametrize(("kind", "content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_cannot_be_read_gets_one_clear_error(
    operator: Client, game: Game, kind: str, content: bytes, message: str
) -> None:
    page = send(operator, kind, content).content.decode()

    assert message in page.replace("&#x27;", "'")
    assert not ImportRun.objects.exists()
    assert not ImportRow.objects.exists()


def test_a_file_that_is_too_large_is_refused(operator: Client, game: Game) -> None:
    page = send(operator, "users", b"id\n" + b"a\n" * 50_000_001).content.decode()
    assert "The file is too large: at most 100 MB are read." in page
    assert not ImportRun.objects.exists()


def test_spreadsheets_files_are_read_whatever_they_separate_by(operator: Client, api: Api, game: Game) -> None:
    content = '\ufeffid;name;email\r\nalice;"Adeyemi; Alice\r\nthe first";\r\n;;\r\n\r\nbob;"Bob ""B""";\r\n'
    send(operator, "users", content)
    work.work_on_imports()
    run = confirmed(ImportRun.objects.get())

    assert (run.rows, run.errors) == (2, 0)
    assert api.get("/v1/users/alice").json()["name"] == "Adeyemi; Alice\r\nthe first"
    assert api.get("/v1/users/bob").json()["name"] == 'Bob "B"'


def test_an_error_names_the_line_on_which_its_row_begins(game: Game) -> None:
    run = check("users", 'id,name,email\nalice,"A\nB\nC",\n\nbob,,nobody\n')
    assert errors_of(run) == [(6, "email", "email must be an email address.")]


def test_the_same_adjustments_are_refused_on_upload_unless_asked(operator: Client, api: Api, game: Game) -> None:
    known(api, "alice", "bob")
    send(operator, "adjustments", ADJUSTMENTS)
    work.work_on_imports()
    confirmed(ImportRun.objects.get())

    page = send(operator, "adjustments", ADJUSTMENTS).content.decode()
    assert "A file that says the same was imported on" in page
    assert "by olivia: its points would move a second time." in page
    send(operator, "adjustments", ADJUSTMENTS, again="on")
    work.work_on_imports()
    confirmed(ImportRun.objects.get(again=True))
    assert api.points("bob")["total"] == 40


@pytest.fixture
def helper(db: None) -> tuple[Client, User]:
    user = User.objects.create_user("henry", is_staff=True)
    client = Client()
    client.force_login(user)
    return client, user


def allow(user: User, *names: str) -> None:
    for name in names:
        app, codename = name.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))


def test_only_who_may_change_them_may_import_them(helper: tuple[Client, User], game: Game) -> None:
    client, user = helper
    run = check("users", "id\nalice\n")
    page, add = f"/admin/imports/importrun/{run.id}/", "/admin/imports/importrun/add/"
    assert [client.get(page + "change/").status_code, client.get(add).status_code] == [403, 403]
    assert client.post(page + "confirm/").status_code == 403

    allow(user, "imports.view_importrun", "imports.add_importrun")
    assert "confirm/" not in page_of(client, run)
    assert client.get(add).status_code == 403
    assert client.post(page + "confirm/").status_code == 403

    allow(user, "points.adjust_points")
    assert "Opening balances" not in client.get(add).content.decode()
    assert "Select a valid choice" in send(client, "users", USERS).content.decode()
    assert client.post(page + "confirm/").status_code == 403
    assert ImportRun.objects.get().status == "checked"

    allow(user, "users.change_enduser")
    assert client.post(page + "confirm/").status_code == 302
    assert ImportRun.objects.get().status == "importing"


def test_a_decision_needs_a_post_and_a_run_that_is_there(operator: Client, game: Game) -> None:
    run = check("users", "id\nalice\n")
    assert operator.get(f"/admin/imports/importrun/{run.id}/confirm/").status_code == 405
    assert operator.post(f"/admin/imports/importrun/{'0' * 8}-0000-0000-0000-{'0' * 12}/confirm/").status_code == 404
    assert operator.get("/admin/imports/importrun/example/gold/").status_code == 404
    assert ImportRun.objects.get().status == "checked"


def test_a_decision_that_came_too_late_says_so(operator: Client, game: Game) -> None:
    run = confirmed(check("users", "id\nalice\n"))
    answer = operator.post(f"/admin/imports/importrun/{run.id}/cancel/", follow=True)
    assert "was confirmed or ended already" in answer.content.decode()
