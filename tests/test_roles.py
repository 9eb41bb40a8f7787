"""What each role of operators may do: pages, actions, files, and who may give which role."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from access.services import create_api_key, create_application_key
from achievements.services import create_achievement
from boosts.services import create_boost
from core.services import create_checked
from engine.models import QueuedEvent
from levels.models import Level
from metrics.models import Metric
from points.models import PointsAward, PointsTrigger
from preview.drafts import live_draft, read_parts
from preview.models import Backtest
from preview.services import start_backtest
from streaks.services import update_settings
from tests.conftest import Api, Game
from tests.test_admin import text_of, trigger_form
from users.models import EndUser
from webhooks.models import Delivery, OutboxMessage
from webhooks.services import create_endpoint

ROLES: Final = ("Viewer", "Support", "Operator", "Administrator")
VIEWER, SUPPORT, OPERATOR, ADMINISTRATOR = range(4)
PASSWORD: Final = "correct horse battery"


def login(role: str, **fields: Any) -> tuple[Client, User]:
    """Return a browser in which an operator of this role is logged in, or a superuser."""
    user = User.objects.create_user(role.lower(), is_staff=True, is_superuser=role == "Superuser", **fields)
    user.groups.set(Group.objects.filter(name=role))
    client = Client()
    client.force_login(user)
    return client, user


@pytest.fixture
def rows(game: Game, api: Api) -> dict[str, Any]:
    """One row of everything that has pages, and what a browser sends to act on it."""
    game.trigger(points=5)
    api.event("alice")
    endpoint, _ = create_endpoint(url="https://example.com/hook", types=["points.changed"], name="CRM")
    alice = EndUser.objects.get()
    message = OutboxMessage.objects.create(type="points.changed", user=alice, payload={}, created=timezone.now())
    delivery = Delivery.objects.create(
        endpoint=endpoint, message=message, type="points.changed", status="failed", created=timezone.now()
    )
    parts = read_parts(game.energy)
    start_backtest(parts=parts, draft=live_draft(parts), query="", days=7, operator="olivia")
    queued = QueuedEvent.objects.create(
        shard=0, external_id="bob", metric_key="lessons", event="{}", accepted=timezone.now(), status="failed"
    )
    return {
        "metrics/metric": game.flashcards,
        "users/attribute": game.plan,
        "users/enduser": alice,
        "points/pointssystem": game.energy,
        "points/pointstrigger": game.trigger(points=10, status="inactive"),
        "boosts/boost": create_boost(
            system=game.xp, name="Double XP", multiplier=Decimal(2), start=timezone.now().date()
        ),
        "levels/level": create_checked(Level, system=game.xp, name="Novice", key="novice", points=0),
        "achievements/achievement": create_achievement(name="Done", type="api", key="done"),
        "streaks/streaksettings": update_settings(),
        "access/apikey": create_api_key(name="backend")[0],
        "access/applicationkey": create_application_key(external_id="alice")[0],
        "webhooks/endpoint": endpoint,
        "webhooks/delivery": delivery,
        "engine/queuedevent": queued,
    }


# --- Routes by role --------------------------------------------------------------------------------------------------
SEEN: Final = {
    **dict.fromkeys(
        (
            *("metrics/metric", "users/attribute", "users/enduser", "points/pointssystem", "points/pointstrigger"),
            *("boosts/boost", "levels/level", "achievements/achievement", "streaks/streaksettings", "access/apikey"),
            *("access/applicationkey", "webhooks/endpoint", "webhooks/delivery", "engine/queuedevent"),
        ),
        VIEWER,
    ),
}
ADDED: Final = {
    **dict.fromkeys(
        (
            *("metrics/metric", "users/attribute", "points/pointssystem", "points/pointstrigger", "boosts/boost"),
            *("levels/level", "achievements/achievement", "imports/importrun"),
        ),
        OPERATOR,
    ),
    **dict.fromkeys(("access/apikey", "access/applicationkey", "webhooks/endpoint", "auth/user"), ADMINISTRATOR),
}
ROW_ACTIONS: Final = {
    ("points/pointstrigger", "activate_one"): OPERATOR,
    ("points/pointstrigger", "deactivate_one"): OPERATOR,
    ("points/pointstrigger", "archive_one"): OPERATOR,
    ("points/pointssystem", "archive_one"): OPERATOR,
    ("boosts/boost", "activate_one"): OPERATOR,
    ("boosts/boost", "finish_one"): OPERATOR,
    ("boosts/boost", "archive_one"): OPERATOR,
    ("achievements/achievement", "activate_one"): OPERATOR,
    ("achievements/achievement", "lock_one"): OPERATOR,
    ("achievements/achievement", "archive_one"): OPERATOR,
    ("levels/level", "archive_one"): OPERATOR,
    ("engine/queuedevent", "retry_one"): OPERATOR,
    ("access/apikey", "revoke_one"): ADMINISTRATOR,
    ("access/applicationkey", "revoke_one"): ADMINISTRATOR,
    ("webhooks/endpoint", "send_test_one"): ADMINISTRATOR,
    ("webhooks/endpoint", "replay_failed_one"): ADMINISTRATOR,
    ("webhooks/endpoint", "rotate_one"): ADMINISTRATOR,
    ("webhooks/endpoint", "finish_rotation_one"): ADMINISTRATOR,
    ("webhooks/endpoint", "enable_one"): ADMINISTRATOR,
    ("webhooks/endpoint", "disable_one"): ADMINISTRATOR,
    ("webhooks/endpoint", "archive_one"): ADMINISTRATOR,
    ("webhooks/delivery", "replay_one"): ADMINISTRATOR,
}
LIST_ACTIONS: Final = {
    ("metrics/metric", "archive_selected"): OPERATOR,
    ("metrics/metric", "restore_selected"): OPERATOR,
    ("users/attribute", "archive_selected"): OPERATOR,
    ("points/pointssystem", "archive_selected"): OPERATOR,
    ("points/pointstrigger", "activate_selected"): OPERATOR,
    ("points/pointstrigger", "deactivate_selected"): OPERATOR,
    ("boosts/boost", "activate_selected"): OPERATOR,
    ("boosts/boost", "finish_selected"): OPERATOR,
    ("achievements/achievement", "activate_selected"): OPERATOR,
    ("achievements/achievement", "lock_selected"): OPERATOR,
    ("levels/level", "archive_selected"): OPERATOR,
    ("engine/queuedevent", "retry_selected"): OPERATOR,
    ("access/apikey", "revoke_selected"): ADMINISTRATOR,
    ("access/applicationkey", "revoke_selected"): ADMINISTRATOR,
    ("webhooks/endpoint", "enable_selected"): ADMINISTRATOR,
    ("webhooks/endpoint", "disable_selected"): ADMINISTRATOR,
    ("webhooks/endpoint", "archive_selected"): ADMINISTRATOR,
    ("webhooks/delivery", "replay_selected"): ADMINISTRATOR,
}


def pages(rows: dict[str, Any]) -> dict[str, int]:
    """Return the addresses of all pages to look at, and the first role that may."""
    found = {"": VIEWER, "changes/": VIEWER, "imports/importrun/": VIEWER, "imports/importrun/example/users/": VIEWER}
    found |= {"users/enduser/export/": VIEWER, "auth/user/": ADMINISTRATOR, "auth/group/": ADMINISTRATOR}
    alice, award = rows["users/enduser"].pk, PointsAward.objects.get().pk
    found |= {f"users/enduser/{alice}/ledger/": VIEWER, f"users/enduser/{alice}/awards/{award}/": VIEWER}
    found |= {f"users/enduser/{alice}/adjust/": SUPPORT}
    system = f"points/pointssystem/{rows['points/pointssystem'].pk}"
    backtest = Backtest.objects.get(system=rows["points/pointssystem"])
    found |= {f"{system}/analytics/": VIEWER, f"{system}/preview/": OPERATOR}
    found |= {f"{system}/preview/backtests/{backtest.pk}/": OPERATOR}
    for model, role in SEEN.items():
        if model != "streaks/streaksettings":  # its list leads to the one row
            found[f"{model}/"] = role
        found[f"{model}/{rows[model].pk}/change/"] = role
        found[f"{model}/{rows[model].pk}/history/"] = role
    return found | {f"{model}/add/": role for model, role in ADDED.items()}


@pytest.mark.parametrize("role", ROLES)
def test_pages_open_for_who_may_see_them_and_for_nobody_else(role: str, rows: dict[str, Any]) -> None:
    client, _ = login(role)
    first = {page: client.get(f"/admin/{page}").status_code for page in pages(rows)}
    assert first == {page: 200 if ROLES.index(role) >= allowed else 403 for page, allowed in pages(rows).items()}


@pytest.mark.parametrize("role", ROLES)
def test_actions_are_for_who_may_do_them_also_by_a_direct_post(role: str, rows: dict[str, Any]) -> None:
    client, _ = login(role)
    done: dict[tuple[str, str], int] = {}
    for model, action in ROW_ACTIONS:
        address = f"/admin/{model}/{rows[model].pk}/{action}/"
        done[f"GET {model}", action] = client.get(address).status_code
        done[model, action] = client.post(address, {"_form_submitted": "True"}).status_code
    for model, action in LIST_ACTIONS:
        form = {"action": action, "_selected_action": str(rows[model].pk)}
        done[model, action] = client.post(f"/admin/{model}/", form).status_code
    allowed = {key for key, first in (ROW_ACTIONS | LIST_ACTIONS).items() if ROLES.index(role) >= first}
    wrong = {
        key for key, status in done.items() if (status != 403) != ((key[0].removeprefix("GET "), key[1]) in allowed)
    }
    assert wrong == set()


@pytest.mark.parametrize("role", ROLES)
def test_actions_in_a_tab_are_for_who_may_do_them(role: str, rows: dict[str, Any], game: Game) -> None:
    client, _ = login(role)
    trigger = rows["points/pointstrigger"]
    form = {"dataset": "TriggersTab", "action": "activate_selected", "_selected_action": str(trigger.pk)}
    answer = client.post(f"/admin/points/pointssystem/{game.xp.pk}/change/", form)
    trigger.refresh_from_db()
    is_allowed = ROLES.index(role) >= OPERATOR
    assert (answer.status_code == 403, trigger.status) == (not is_allowed, "active" if is_allowed else "inactive")


@pytest.mark.parametrize("role", ROLES)
def test_rules_are_changed_by_who_may_also_by_a_direct_post(role: str, rows: dict[str, Any], game: Game) -> None:
    client, _ = login(role)
    trigger, is_allowed = rows["points/pointstrigger"], ROLES.index(role) >= OPERATOR
    answer = client.post(f"/admin/points/pointstrigger/{trigger.pk}/change/", trigger_form(game, points="99"))
    assert answer.status_code == (302 if is_allowed else 403)
    assert PointsTrigger.objects.filter(points=99).exists() == is_allowed
    made = client.post("/admin/metrics/metric/add/", {"name": "New", "key": "new", "unit_type": "number"})
    assert made.status_code == (302 if is_allowed else 403)
    assert Metric.objects.filter(key="new").exists() == is_allowed


@pytest.mark.parametrize("role", ROLES)
def test_points_are_adjusted_and_reversed_by_who_may(role: str, rows: dict[str, Any]) -> None:
    client, _ = login(role)
    is_allowed = ROLES.index(role) >= SUPPORT
    award = PointsAward.objects.get()
    page = f"/admin/users/enduser/{rows['users/enduser'].pk}/"
    assert (client.post(f"{page}adjust/", {}).status_code == 403) != is_allowed
    assert (client.post(f"{page}awards/{award.pk}/reverse/", {}).status_code == 403) != is_allowed
    assert PointsAward.objects.count() == 1


@pytest.mark.parametrize("role", ROLES)
def test_files_are_imported_by_who_may(role: str, db: None) -> None:
    client, _ = login(role)
    file = SimpleUploadedFile("users.csv", b"id\nalice\n", "text/csv")
    answer = client.post("/admin/imports/importrun/add/", {"kind": "users", "file": file})
    is_allowed = ROLES.index(role) >= OPERATOR
    assert answer.status_code == (302 if is_allowed else 403)
    if is_allowed:
        run = answer.headers["Location"].removesuffix("change/")
        viewer, _ = login("Viewer")
        for decision in ("confirm", "cancel", "retry"):
            assert viewer.post(f"{run}{decision}/").status_code == 403
        assert viewer.get(f"{run}errors/").status_code == 200
        assert client.post(f"{run}cancel/").status_code == 302


def test_nobody_deletes_an_import_by_a_direct_post(db: None) -> None:
    client, _ = login("Administrator")
    assert client.post("/admin/imports/importrun/", {"action": "delete_selected"}).status_code == 403


def test_who_has_no_role_sees_nothing(rows: dict[str, Any]) -> None:
    client, _ = login("Nobody")
    answers = {page: client.get(f"/admin/{page}").status_code for page in pages(rows) if page}
    assert set(answers.values()) == {403}


def test_the_sidebar_and_buttons_show_only_what_the_role_may_do(rows: dict[str, Any]) -> None:
    viewer, administrator = login("Viewer")[0], login("Administrator")[0]
    home = viewer.get("/admin/").content.decode()
    assert "/admin/points/pointstrigger/" in home
    assert "/admin/auth/user/" not in home
    assert "/admin/auth/user/" in administrator.get("/admin/").content.decode()
    page = f"/admin/webhooks/endpoint/{rows['webhooks/endpoint'].pk}/change/"
    assert "Rotate secret" not in text_of(viewer.get(page))
    assert "Rotate secret" in text_of(administrator.get(page))
    assert "Add points trigger" not in text_of(viewer.get("/admin/points/pointstrigger/"))


# --- Giving roles ----------------------------------------------------------------------------------------------------
def new_operator(role: str = "", **fields: str) -> dict[str, str]:
    group = Group.objects.filter(name=role).first()
    passwords = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    return {"username": "new", "role": str(group.pk) if group else "", **passwords} | fields


def changed_operator(user: User, role: str = "", **fields: str) -> dict[str, str]:
    group = Group.objects.filter(name=role).first()
    return {"username": user.username, "role": str(group.pk) if group else "", "is_active": "on"} | fields


def test_an_administrator_makes_an_operator_by_choosing_a_role(db: None) -> None:
    client, _ = login("Administrator")
    form = text_of(client.get("/admin/auth/user/add/"))
    assert "Support: a viewer who adjusts users' points" in form
    assert "Can add" not in form, "no wall of permissions"
    assert client.post("/admin/auth/user/add/", new_operator("Support")).status_code == 302
    made = User.objects.get(username="new")
    assert (made.is_staff, made.is_superuser, made.has_perm("points.adjust_points")) == (True, False, True)
    assert not made.has_perm("metrics.change_metric")
    address = f"/admin/auth/user/{made.pk}/change/"
    assert client.post(address, changed_operator(made, "Viewer", email="new@example.com")).status_code == 302
    made = User.objects.get(username="new")
    assert (made.email, made.has_perm("points.adjust_points"), made.has_perm("metrics.view_metric")) == (
        *("new@example.com", False),
        True,
    )


def test_an_administrator_cannot_make_superusers_or_give_more_than_they_have(db: None) -> None:
    client, _ = login("Administrator")
    above = Group.objects.create(name="Owner")
    above.permissions.set(Permission.objects.filter(codename__in=("delete_user", "view_metric")))
    assert "Owner" not in text_of(client.get("/admin/auth/user/add/"))
    refused = client.post("/admin/auth/user/add/", new_operator("Owner"))
    assert refused.status_code == 200
    assert "Select a valid choice" in text_of(refused)
    everything = {"is_superuser": "on", "user_permissions": str(Permission.objects.all()[0].pk)}
    assert client.post("/admin/auth/user/add/", new_operator("Viewer", **everything)).status_code == 302
    made = User.objects.get(username="new")
    assert client.post(f"/admin/auth/user/{made.pk}/change/", changed_operator(made, **everything)).status_code == 302
    made.refresh_from_db()
    assert (made.is_superuser, made.user_permissions.count()) == (False, 0)


def test_an_administrator_cannot_touch_who_may_do_more(db: None) -> None:
    client, _ = login("Administrator")
    _, root = login("Superuser")
    _, owner = login("Owner", is_active=False)
    owner.user_permissions.set(Permission.objects.filter(codename="delete_user"))
    for other in (root, owner):
        page = f"/admin/auth/user/{other.pk}/"
        assert client.get(f"{page}change/").status_code == 200
        assert client.post(f"{page}change/", changed_operator(other, email="mine@example.com")).status_code == 403
        assert client.get(f"{page}password/").status_code == 403
        assert client.post(f"{page}delete/", {"post": "yes"}).status_code == 403
    assert not User.objects.filter(email="mine@example.com").exists()


def test_nobody_changes_their_own_role(db: None) -> None:
    client, user = login("Administrator")
    form = changed_operator(user, "Viewer", email="ada@example.com") | {"is_active": ""}
    assert client.post(f"/admin/auth/user/{user.pk}/change/", form).status_code == 302
    user = User.objects.get(pk=user.pk)
    assert (user.email, user.is_active, user.groups.get().name) == ("ada@example.com", True, "Administrator")


def test_an_administrator_changes_roles_only_within_what_they_have(db: None) -> None:
    client, _ = login("Administrator")
    viewer, delete = Group.objects.get(name="Viewer"), Permission.objects.get(codename="delete_user")
    address, form = f"/admin/auth/group/{viewer.pk}/change/", {"name": "Viewer", "permissions": [str(delete.pk)]}
    assert "Select a valid choice" in text_of(client.post(address, form))
    kept = Permission.objects.get(codename="view_metric")
    assert client.post(address, form | {"permissions": [str(kept.pk)]}).status_code == 302
    assert list(viewer.permissions.values_list("codename", flat=True)) == ["view_metric"]
    above = Group.objects.create(name="Owner")
    above.permissions.add(delete)
    owner = f"/admin/auth/group/{above.pk}/change/"
    assert client.post(owner, {"name": "Owner", "permissions": [str(kept.pk)]}).status_code == 403


def test_superusers_stay_above_all(rows: dict[str, Any]) -> None:
    client, _ = login("Superuser")
    assert client.post("/admin/auth/user/add/", new_operator("Administrator")).status_code == 302
    made = User.objects.get(username="new")
    form = changed_operator(made, "Administrator", is_superuser="on")
    assert client.post(f"/admin/auth/user/{made.pk}/change/", form).status_code == 302
    made.refresh_from_db()
    assert made.is_superuser
    opens: Callable[[str], int] = lambda page: client.get(f"/admin/{page}").status_code  # noqa: E731
    assert {opens(page) for page in pages(rows)} == {200}
