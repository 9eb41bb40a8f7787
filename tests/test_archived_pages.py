"""What is archived says so on its page, cannot be changed there, and can be restored from there."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from access.models import ApiKey
from access.services import create_api_key, revoke_keys
from achievements.services import create_achievement
from boosts.services import create_boost
from core.models import ConfigurationStatus
from core.services import archive, create_checked
from levels.models import Level
from tests.conftest import Game
from tests.test_admin import operator as operator  # noqa: PLC0414 - fixtures
from tests.test_admin import text_of
from tests.test_roles import login
from webhooks.services import create_endpoint

SAID = "It is out of the rules, and cannot be changed unless it is restored."


@pytest.fixture
def archived(game: Game) -> dict[str, Any]:
    """An archived row of each kind of configuration."""
    rows = {
        "points/pointstrigger": game.trigger(5, status="inactive"),
        "metrics/metric": game.flashcards,
        "users/attribute": game.plan,
        "achievements/achievement": create_achievement(name="Done", type="api", key="done"),
        "boosts/boost": create_boost(
            system=game.xp, name="Double XP", multiplier=Decimal(2), start=timezone.now().date()
        ),
        "levels/level": create_checked(Level, system=game.xp, name="Novice", key="novice", points=0),
        "webhooks/endpoint": create_endpoint(url="https://example.com/hook", types=["points.changed"], name="CRM")[0],
        "points/pointssystem": game.energy,
    }
    for row in rows.values():
        archive(row=row)
    return rows


def addresses(rows: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for model, row in rows.items():
        yield f"/admin/{model}/{row.id}/", row


def test_the_page_of_what_is_archived_says_so_and_asks_for_nothing(operator: Client, archived: dict[str, Any]) -> None:
    for address, _ in addresses(archived):
        page = operator.get(f"{address}change/")
        assert "Archived" in text_of(page), address
        assert SAID in text_of(page), address
        assert "Restore" in text_of(page), address
        assert 'name="_save"' not in page.content.decode(), address


def test_it_is_restored_from_its_page_and_can_be_changed_again(operator: Client, archived: dict[str, Any]) -> None:
    for address, row in addresses(archived):
        assert "Restore «" in text_of(operator.get(f"{address}restore_one/")), address
        operator.post(f"{address}restore_one/", {"_form_submitted": "True"})
        row.refresh_from_db()
        assert row.status != ConfigurationStatus.ARCHIVED, address
        page = operator.get(f"{address}change/")
        assert SAID not in text_of(page), address
        assert 'name="_save"' in page.content.decode(), address


def test_a_form_that_was_opened_before_says_that_nothing_was_saved(operator: Client, archived: dict[str, Any]) -> None:
    metric = archived["metrics/metric"]
    answer = operator.post(f"/admin/metrics/metric/{metric.id}/change/", {"name": "Cards"}, follow=True)
    assert f"Not saved: «{metric}» is archived, and cannot be changed." in text_of(answer)
    metric.refresh_from_db()
    assert metric.name == "Flashcards flipped"


def test_who_may_only_look_is_told_too_and_offered_nothing(archived: dict[str, Any]) -> None:
    viewer, _ = login("Viewer")
    for address, row in addresses(archived):
        page = text_of(viewer.get(f"{address}change/"))
        assert SAID in page, address
        assert "unarchive Restore" not in page, address
        assert viewer.post(f"{address}restore_one/", {"_form_submitted": "True"}).status_code == 403, address
        row.refresh_from_db()
        assert row.status == ConfigurationStatus.ARCHIVED, address


def test_what_is_live_says_nothing_of_it(operator: Client, game: Game) -> None:
    page = text_of(operator.get(f"/admin/metrics/metric/{game.lessons.id}/change/"))
    assert SAID not in page
    assert "Archive" in page
    assert "Restore" not in page


def test_a_key_that_is_revoked_says_that_this_is_for_good(operator: Client, game: Game) -> None:
    key, _ = create_api_key(name="backend")
    revoke_keys(keys=ApiKey.objects.filter(id=key.id))
    page = text_of(operator.get(f"/admin/access/apikey/{key.id}/change/"))
    assert "Calls with this key are refused, for good." in page
    assert "Restore" not in page
