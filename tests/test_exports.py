"""What operators export of users: streamed CSV files that imports read back as they were."""

import codecs
import csv
import io
import tracemalloc
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from engine.inputs import AdjustInput
from engine.pipeline import process
from points.rules import Adjustment
from tests.conftest import Api, Game
from tests.test_imports import check, confirmed
from users.models import Attribute, EndUser
from users.rules import UserChanges

EXPORT = "/admin/users/enduser/export/"
USERS, TOTALS, BALANCES, LEDGER = "0", "1", "2", "3"


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("olivia"))
    return client


def export(client: Client, resource: str, search: str = "") -> str:
    """Return the file that the operator downloads."""
    answer: Any = client.post(EXPORT + search, {"resource": resource, "format": "0"})
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment; filename=" in answer["Content-Disposition"]
    content = answer.getvalue()
    assert content.startswith(codecs.BOM_UTF8)
    return str(content.decode("utf-8-sig"))


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


ODD_USERS = (
    {"id": "alice", "name": 'Alice, "the first"\n', "email": "alice@example.com", "tz": "Europe/London"},
    {"id": "bob", "subscribeToEmails": False, "deviceTokens": ["a", "b,c"], "signUpDate": "2026-01-31"},
    {"id": "=cmd|calc", "name": "=1+1", "attributes": {"plan": "-5"}},
    {"id": "'@x", "name": "null", "attributes": {"plan": ""}},
    {"id": "+4915112345", "name": "", "attributes": {"plan": "null"}},
    {"id": "日本 \u200d", "name": "\tTab"},
)


def test_users_come_back_as_they_were(operator: Client, api: Api, game: Game) -> None:
    for user in ODD_USERS:
        assert api.send("POST", "/v1/users", user).status_code == 201
    fields = (
        "external_id",
        "name",
        "email",
        "tz",
        "attributes",
        "device_tokens",
        "subscribe_to_emails",
        "sign_up_date",
    )
    before = list(EndUser.objects.order_by("external_id").values(*fields))
    file = export(operator, USERS)
    EndUser.objects.all().delete()

    run = confirmed(check("users", file))

    assert (run.status, run.errors, run.tally) == ("done", 0, {"new users": len(ODD_USERS)})
    assert list(EndUser.objects.order_by("external_id").values("external_id", *fields)) == before


def test_no_spreadsheet_runs_what_a_user_is_called(operator: Client, api: Api, game: Game) -> None:
    for user in ODD_USERS:
        api.send("POST", "/v1/users", user)
    cells = [cell for row in rows(export(operator, USERS)) for cell in row]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    assert "'=1+1" in cells


def test_users_have_a_column_for_each_attribute_that_is_set_up(operator: Client, api: Api, game: Game) -> None:
    Attribute.objects.create(name="Country", key="country", type="user")
    api.send("POST", "/v1/users", {"id": "alice", "attributes": {"plan": "pro"}})
    assert rows(export(operator, USERS)) == [
        [
            *("id", "name", "email", "tz", "signUpDate", "subscribeToEmails", "deviceTokens"),
            *("attributes.country", "attributes.plan"),
        ],
        ["alice", "", "", "", "", "", "", "", "pro"],
    ]


def test_the_export_has_who_was_searched_for(operator: Client, api: Api, game: Game) -> None:
    game.trigger(10)
    for user in ("alice", "alina", "bob"):
        api.event(user)
    found = {resource: {row[0] for row in rows(export(operator, resource, "?q=ali"))[1:]} for resource in "0123"}
    assert all(users == {"alice", "alina"} for users in found.values())


def test_totals_can_be_imported_elsewhere_as_opening_balances(operator: Client, api: Api, game: Game) -> None:
    api.event("alice", 12.5)
    api.event("alice", -20, metric="flashcards")
    api.event("bob", 10**14, category="grammar")

    file = export(operator, TOTALS)

    assert rows(file) == [
        ["user", "metric", "total"],
        ["alice", "lessons", "12.5"],
        ["alice", "flashcards", "-20"],
        ["bob", "lessons", "100000000000000"],
    ]
    assert check("openings", file).status == "checked"


def test_balances_and_the_ledger_say_what_each_user_holds_and_why(operator: Client, api: Api, game: Game) -> None:
    game.trigger(10)
    api.event("alice", 3)
    process([AdjustInput(UserChanges("alice"), "xp", Adjustment(-5, "=Paid twice", "maria"))])

    assert rows(export(operator, BALANCES)) == [["user", "system", "points"], ["alice", "xp", "25"]]
    header, *lines = rows(export(operator, LEDGER))
    assert header == ["user", "system", "line", "at", "cause", "points", "balance", "reason", "operator", "rule"]
    assert [line[:3] + line[4:] for line in lines] == [
        ["alice", "xp", "1", "metric", "30", "30", "", "", "Lessons completed: every 1 · +10"],
        ["alice", "xp", "2", "adjustment", "-5", "25", "'=Paid twice", "maria", ""],
    ]


def test_the_form_offers_all_files_and_the_list_leads_to_it(operator: Client, api: Api, game: Game) -> None:
    api.event("alice")
    assert EXPORT + "?q=ali" in operator.get("/admin/users/enduser/?q=ali").content.decode()
    page = operator.get(EXPORT).content.decode()
    for name in ("Users with their attributes", "Metric totals", "Points balances", "The ledger of points"):
        assert name in page


def test_only_who_may_see_users_may_export_them(db: None) -> None:
    user = User.objects.create_user("henry", is_staff=True)
    client = Client()
    client.force_login(user)
    assert client.post(EXPORT, {"resource": USERS, "format": "0"}).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_enduser"))
    assert client.post(EXPORT, {"resource": USERS, "format": "0"}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_large_export_takes_no_more_memory_than_a_small_one() -> None:
    operator = Client()
    operator.force_login(User.objects.create_superuser("olivia"))

    def peak_bytes(users: int) -> int:
        confirmed(check("users", "id,name\n" + "".join(f"user-{number},Learner {number}\n" for number in range(users))))
        answer: Any = operator.post(EXPORT, {"resource": USERS, "format": "0"})
        tracemalloc.start()
        try:
            assert sum(1 for _ in answer) == 1 + users
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small, large = peak_bytes(3000), peak_bytes(12_000)
    assert large < 1.3 * small
