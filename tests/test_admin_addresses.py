"""What addresses of the admin may ask: look-ups by what a list shows, real pages, and nothing that ends in an error."""

from typing import Any, Final

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.test import Client, RequestFactory
from django.utils import timezone

from engine.models import QueuedEvent
from tests.conftest import Api, Game
from tests.test_admin import operator as operator  # noqa: PLC0414 - fixtures
from tests.test_admin import text_of
from tests.test_roles import login
from tests.test_roles import rows as rows  # noqa: PLC0414
from users.models import EndUser

SECRETS: Final = {"secret", "old_secret", "hashed_key", "password", "payload", "digest"}
COMPARISONS: Final = ("", "__exact", "__startswith", "__contains", "__gt", "__regex", "__in", "__isnull")


# --- Look-ups ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "address",
    [
        "webhooks/endpoint/?secret__startswith=whsec",
        "webhooks/endpoint/?old_secret__isnull=1",
        "webhooks/delivery/?endpoint__secret__startswith=whsec",
        "webhooks/delivery/?message__payload__contains=a",
        "access/apikey/?hashed_key__startswith=pbkdf2",
        "access/applicationkey/?hashed_key=a",
        "points/pointstrigger/?system__created__gt=2026-01-01",
        "metrics/metric/?name__regex=(a+)%2B$",
        "users/enduser/?attributes__plan=pro",
    ],
)
def test_a_viewer_looks_up_by_nothing_but_what_a_list_shows(address: str, rows: dict[str, Any]) -> None:
    viewer, _ = login("Viewer")
    assert viewer.get(f"/admin/{address}").status_code == 400


@pytest.mark.parametrize(
    "address",
    [
        "metrics/metric/?key=lessons",
        "metrics/metric/?name__icontains=less",
        "metrics/metric/?unit_type__exact=number",
        "access/apikey/?prefix__startswith=a",
        "users/enduser/?email__isnull=1",
        "webhooks/endpoint/?status__exact=active",
    ],
)
def test_what_a_list_shows_can_be_looked_up_by(address: str, rows: dict[str, Any]) -> None:
    viewer, _ = login("Viewer")
    assert viewer.get(f"/admin/{address}").status_code == 200


def test_links_look_up_what_is_referred_to_by_its_key(rows: dict[str, Any]) -> None:
    viewer, _ = login("Viewer")
    page = viewer.get(f"/admin/webhooks/delivery/?endpoint__id__exact={rows['webhooks/endpoint'].id}")
    assert "CRM" in text_of(page)
    assert viewer.get(f"/admin/points/pointstrigger/?system={rows['points/pointssystem'].id}").status_code == 200


def test_no_list_can_be_looked_up_or_searched_by_a_secret(db: None) -> None:
    request = RequestFactory().get("/admin/")
    request.user = User(username="olivia", is_staff=True, is_superuser=True, is_active=True)
    asked = 0
    for admin_ in admin.site._registry.values():
        assert not SECRETS & {part for path in admin_.get_search_fields(request) for part in path.split("__")}
        for name in SECRETS & {field.name for field in admin_.opts.get_fields()}:
            for comparison in COMPARISONS:
                assert not admin_.lookup_allowed(f"{name}{comparison}", "a", request), (admin_, name)
                asked += 1
        for field in admin_.opts.get_fields():
            related = field.related_model if isinstance(field, models.ForeignKey) else None
            for name in SECRETS & {each.name for each in related._meta.get_fields()} if related else ():
                assert not admin_.lookup_allowed(f"{field.name}__{name}__startswith", "a", request), (admin_, name)
    assert asked >= 5 * len(COMPARISONS)


# --- Pages ------------------------------------------------------------------------------------------------------------
def test_the_history_of_a_user_has_as_many_pages_as_it_has(operator: Client, api: Api, game: Game) -> None:
    api.event("alice")
    alice, olivia = EndUser.objects.get(), User.objects.get()
    about = ContentType.objects.get_for_model(EndUser)
    of_alice = {"user": olivia, "content_type": about, "object_id": str(alice.id), "action_flag": CHANGE}
    LogEntry.objects.bulk_create(LogEntry(**of_alice, change_message=f"Change {number}") for number in range(120))
    first, last = (text_of(operator.get(f"/admin/users/enduser/{alice.id}/history/{page}")) for page in ("", "?p=2"))
    assert "120 entries" in first
    assert "Change 99" in first
    assert "Change 100" not in first
    assert "Change 119" in last


def test_no_list_and_no_history_names_a_number_that_nobody_counted(operator: Client, rows: dict[str, Any]) -> None:
    for model, row in rows.items():
        if model in ("engine/queuedevent", "webhooks/delivery", "users/enduser"):
            LogEntry.objects.create(
                user=User.objects.get(username="olivia"),
                content_type=ContentType.objects.get_for_model(type(row)),
                object_id=str(row.pk),
                action_flag=CHANGE,
                change_message="Something",
            )
        for page in ("", "?q=a", "?p=1", f"{row.pk}/history/"):
            answer = operator.get(f"/admin/{model}/{page}", follow=True)
            assert answer.status_code == 200, (model, page)
            assert "99999" not in text_of(answer), (model, page)


def test_a_list_that_is_not_counted_has_a_next_page_only_where_there_is_one(operator: Client, game: Game) -> None:
    fields = {"shard": 0, "metric_key": "lessons", "event": "{}", "accepted": timezone.now(), "status": "failed"}
    QueuedEvent.objects.bulk_create(QueuedEvent(external_id=f"user-{number}", **fields) for number in range(50))
    address = "/admin/engine/queuedevent/"
    assert "?p=2" not in operator.get(address).content.decode()  # a full page, and the last
    QueuedEvent.objects.create(external_id="user-50", **fields)
    assert 'href="?p=2"' in operator.get(address).content.decode()
    last = operator.get(f"{address}?p=2")
    assert "user-0" in text_of(last)
    assert "?p=3" not in last.content.decode()
