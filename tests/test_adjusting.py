"""Operators adjust a user's points in the admin: seen first, said why, counted once for each form, taken back once."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.test import Client

from core.form_fields import WHOLE_NUMBER
from core.refusal import Refusal
from core.services import archive, create_checked, update_checked
from engine.adjustments import Adjusted, adjust_points
from engine.inputs import AdjustInput
from engine.pipeline import process
from engine.verify import verify
from levels.services import create_level, update_level
from points.models import AdjustmentRequest, PointsAdjustment, PointsAward, PointsBalance, PointsSystem
from points.rules import Adjustment
from tests.conftest import Api, Game, make_game
from tests.test_admin import text_of
from tests.test_parallel import in_parallel
from users.models import EndUser
from users.rules import UserChanges


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("olivia"))
    return client


@pytest.fixture
def alice(api: Api, game: Game) -> EndUser:
    """A known user who has nothing yet."""
    api.send("POST", "/v1/users", {"id": "alice", "name": "Alice"})
    return EndUser.objects.get()


def page_of(user: EndUser) -> str:
    return f"/admin/users/enduser/{user.id}/"


def form_of(operator: Client, address: str, **fields: str) -> dict[str, str]:
    """Return what a browser sends of a page's form: its hidden fields, and what is typed."""
    return hidden_fields(operator.get(address)) | fields


def hidden_fields(page: Any) -> dict[str, str]:
    """Return a page's token, and the mark of the effect that it shows, if it shows one."""
    return dict(re.findall(r'name="(token|shown)" value="([^"]+)"', page.content.decode()))


def confirmation_of(operator: Client, address: str, form: dict[str, str]) -> dict[str, str]:
    """Return what a browser sends to confirm the effect that is shown for a form."""
    return form | hidden_fields(operator.post(address, form)) | {"confirmed": "yes"}


def adjust(operator: Client, user: EndUser, points: Any, *, system: str = "xp", reason: str = "Goodwill") -> Any:
    """Adjust a user's points, confirmed; return the page on which the operator ends."""
    address = f"{page_of(user)}adjust/"
    form = form_of(operator, address, system=system, points=str(points), reason=reason)
    return operator.post(address, confirmation_of(operator, address, form), follow=True)


def reverse_line(operator: Client, award: PointsAward, reason: str = "A mistake") -> Any:
    address = f"/admin/users/enduser/{award.user_id}/awards/{award.id}/reverse/"
    return operator.post(address, {"token": str(uuid4())} | form_of(operator, address, reason=reason), follow=True)


def total_of(user: EndUser, system: str = "xp") -> int:
    balance = PointsBalance.objects.filter(user=user, system__key=system).first()
    return balance.total if balance else 0


def test_what_an_adjustment_does_is_shown_before_anything_moves(operator: Client, alice: EndUser, game: Game) -> None:
    create_level(system=game.xp, key="novice", name="Novice", points=0)
    create_level(system=game.xp, key="adept", name="Adept", points=40)
    address = f"{page_of(alice)}adjust/"
    form = form_of(operator, address, system="xp", points="50", reason="Sorry for the outage")

    shown = text_of(operator.post(address, form))

    for words in ("Adjust XP of Alice by +50?", "0 → 50 (+50)", "Novice → Adept", "Sorry for the outage"):
        assert words in shown
    assert not PointsAward.objects.exists()
    confirmation = confirmation_of(operator, address, form)
    assert "+50 XP: the balance is 50." in text_of(operator.post(address, confirmation, follow=True))
    assert total_of(alice) == 50
    stored = PointsAdjustment.objects.get()
    assert (stored.reason, stored.operator) == ("Sorry for the outage", "olivia")
    assert LogEntry.objects.get().change_message == "Adjusted XP by +50."


def test_a_maximum_that_cuts_an_adjustment_is_named_before_and_after(operator: Client, alice: EndUser) -> None:
    address = f"{page_of(alice)}adjust/"
    form = form_of(operator, address, system="energy", points="50", reason="Gift")
    words = "Of +50 only +10 can be given: Energy has a maximum of 10."
    assert words in text_of(operator.post(address, form))
    made = text_of(operator.post(address, confirmation_of(operator, address, form), follow=True))
    assert words in made
    assert "Asked for By the operator; boosts do not apply. +50" in made
    assert "Energy stops at the maximum of 10: there was room for 10. +10" in made


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"points": "0"}, "must not be 0"),
        ({"points": "1.5"}, WHOLE_NUMBER),
        ({"points": ""}, "This field is required."),
        ({"points": str(2**53)}, "less than or equal to"),
        ({"reason": "  "}, "This field is required."),
        ({"reason": "x" * 501}, "at most 500 characters"),
        ({"system": "gold"}, "Select a valid choice."),
        ({"token": "no"}, "Enter a valid UUID."),
        ({"points": "-5"}, "points: -5 xp would move nothing, the user has 0."),
    ],
)
@pytest.mark.parametrize("confirmed", [{}, {"confirmed": "yes"}])
def test_an_adjustment_that_cannot_be_is_refused_with_its_field_and_stores_nothing(
    fields: dict[str, str], words: str, confirmed: dict[str, str], operator: Client, alice: EndUser
) -> None:
    address = f"{page_of(alice)}adjust/"
    form = form_of(operator, address, system="xp", points="5", reason="Gift")
    assert words in text_of(operator.post(address, form | fields | confirmed))
    assert not PointsAward.objects.exists()
    assert not AdjustmentRequest.objects.exists()


def test_a_form_that_is_sent_twice_moves_points_once(operator: Client, alice: EndUser) -> None:
    address = f"{page_of(alice)}adjust/"
    form = form_of(operator, address, system="xp", points="50", reason="Gift")
    form = confirmation_of(operator, address, form)
    first, second = (operator.post(address, form, follow=True) for _ in range(2))
    assert first.redirect_chain == second.redirect_chain
    assert "This form was sent before: its +50 XP moved then, and nothing moved now." in text_of(second)
    assert total_of(alice) == 50
    adjust(operator, alice, 50)
    assert total_of(alice) == 100


STALE = "Nothing was moved: the effect is no longer the one that you were shown."


def test_a_confirmation_holds_only_for_the_effect_that_it_showed(operator: Client, alice: EndUser, game: Game) -> None:
    adjust(operator, alice, 100)
    address = f"{page_of(alice)}adjust/"
    forms = [form_of(operator, address, system="xp", points="-40", reason="Refund") for _ in range(2)]
    first, second = (confirmation_of(operator, address, form) for form in forms)
    operator.post(address, first)
    assert total_of(alice) == 60

    asked_again = operator.post(address, second, follow=True)

    assert STALE in text_of(asked_again)
    assert "60 → 20 (-40)" in text_of(asked_again)
    assert total_of(alice) == 60
    operator.post(address, second | hidden_fields(asked_again))
    assert total_of(alice) == 20


def test_a_confirmation_does_not_hold_if_the_maximum_or_the_level_that_it_named_changed(
    operator: Client, alice: EndUser, game: Game
) -> None:
    address = f"{page_of(alice)}adjust/"
    capped = confirmation_of(operator, address, form_of(operator, address, system="energy", points="50", reason="Gift"))
    update_checked(game.energy, max_points=20)
    assert "0 → 20 (+20)" in text_of(operator.post(address, capped))
    level = create_level(system=game.xp, key="adept", name="Adept", points=40)
    risen = confirmation_of(operator, address, form_of(operator, address, system="xp", points="40", reason="Gift"))
    update_level(level=level, points=41)
    assert "stays none" in text_of(operator.post(address, risen))
    assert not PointsAward.objects.exists()


def test_nothing_moves_by_a_confirmation_of_which_nothing_was_shown(operator: Client, alice: EndUser) -> None:
    address = f"{page_of(alice)}adjust/"
    form = form_of(operator, address, system="xp", points="5", reason="Gift") | {"confirmed": "yes"}
    assert "0 → 5 (+5)" in text_of(operator.post(address, form))
    assert not PointsAward.objects.exists()


def test_a_reversal_holds_only_for_the_effect_that_it_showed(operator: Client, alice: EndUser) -> None:
    adjust(operator, alice, 50)
    award = PointsAward.objects.get()
    address = f"{page_of(alice)}awards/{award.id}/reverse/"
    form = form_of(operator, address, reason="My own words")
    adjust(operator, alice, -20, reason="Spent")

    asked_again = operator.post(address, form, follow=True)

    assert STALE in text_of(asked_again)
    assert "30 → 0 (-30)" in text_of(asked_again)
    assert "My own words" in asked_again.content.decode()
    assert total_of(alice) == 30
    operator.post(address, form | hidden_fields(asked_again))
    assert total_of(alice) == 0


def test_an_adjustment_is_reversed_once_and_both_lines_name_each_other(operator: Client, alice: EndUser) -> None:
    adjust(operator, alice, 50)
    first = PointsAward.objects.get()
    asked = text_of(operator.get(f"{page_of(alice)}awards/{first.id}/reverse/"))
    assert "50 → 0 (-50)" in asked

    reversal = text_of(reverse_line(operator, first))

    assert "Reverses Line 1: +50" in reversal
    assert "Reason A mistake" in reversal
    assert total_of(alice) == 0
    explained = text_of(operator.get(f"{page_of(alice)}awards/{first.id}/"))
    assert "Reversed by Line 2: -50" in explained
    again = text_of(reverse_line(operator, first))
    assert "It was reversed already, by olivia on" in again
    back = text_of(reverse_line(operator, PointsAward.objects.get(seq=2)))
    assert "It reverses another adjustment itself" in back
    assert PointsAward.objects.count() == 2


def test_a_reversal_that_is_cut_short_says_so_and_one_that_would_move_nothing_can_be_tried_again(
    operator: Client, alice: EndUser
) -> None:
    adjust(operator, alice, 50)
    first = PointsAward.objects.get()
    adjust(operator, alice, -50, reason="Spent")
    assert "would move nothing" in text_of(reverse_line(operator, first))
    adjust(operator, alice, 20, reason="Found")

    words = "Of -50 only -20 can be taken: a balance is never below 0."
    assert words in text_of(operator.get(f"{page_of(alice)}awards/{first.id}/reverse/"))
    assert words in text_of(reverse_line(operator, first))
    assert total_of(alice) == 0


def test_what_was_imported_can_be_reversed_and_says_that_what_was_asked_is_not_kept(
    operator: Client, alice: EndUser
) -> None:
    process([AdjustInput(UserChanges("alice"), "energy", Adjustment(50, "Import", "maria"))])
    award = PointsAward.objects.get()
    page = text_of(operator.get(f"{page_of(alice)}awards/{award.id}/"))
    assert "this one was imported" in page
    assert "Balance 0 before + 10. 10" in page
    reverse_line(operator, award)
    assert total_of(alice, "energy") == 0


def test_only_who_may_adjust_is_offered_it_and_let_do_it(operator: Client, alice: EndUser, game: Game) -> None:
    adjust(operator, alice, 50)
    award = PointsAward.objects.get()
    viewer = Client()
    user = User.objects.create_user("vera", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_enduser"))
    viewer.force_login(user)
    addresses = (f"{page_of(alice)}adjust/", f"{page_of(alice)}awards/{award.id}/reverse/")

    assert "Adjust points" not in text_of(viewer.get(f"{page_of(alice)}change/"))
    assert "Reverse" not in text_of(viewer.get(f"{page_of(alice)}awards/{award.id}/"))
    for address in addresses:
        assert viewer.get(address).status_code == 403
        assert viewer.post(address, {"confirmed": "yes"}).status_code == 403

    of_awards = ContentType.objects.get_for_model(PointsAward)
    may, _ = Permission.objects.get_or_create(codename="adjust_points", content_type=of_awards)
    user.user_permissions.add(may)
    assert "Adjust points" in text_of(viewer.get(f"{page_of(alice)}change/"))
    adjust(viewer, alice, 5)
    assert PointsAdjustment.objects.latest("award__seq").operator == "vera"


def test_an_adjustment_of_an_archived_system_moves_nothing_in_one_that_took_its_key(
    operator: Client, alice: EndUser, game: Game
) -> None:
    adjust(operator, alice, 50)
    award = PointsAward.objects.get()
    archive(row=game.xp)
    create_checked(PointsSystem, name="XP 2", key="xp")
    adjust(operator, alice, 7)

    assert "XP is archived: restore it first." in text_of(reverse_line(operator, award))
    assert PointsAward.objects.count() == 2
    page = operator.get(f"{page_of(alice)}change/?system={game.xp.id}")
    assert "Explain line 1: +50 XP" in page.content.decode()
    assert "+7 XP 2" not in page.content.decode()


def test_only_adjustments_can_be_reversed(operator: Client, api: Api, game: Game) -> None:
    game.trigger(points=10)
    api.event("alice")
    award = PointsAward.objects.get()
    assert operator.get(f"/admin/users/enduser/{award.user_id}/awards/{award.id}/reverse/").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_of_parallel_sendings_of_one_form_and_of_parallel_reversals_one_counts(
    transactional_db: None, api: Api
) -> None:
    make_game()
    api.send("POST", "/v1/users", {"id": "alice"})
    alice, token = EndUser.objects.get(), uuid4()

    def give(_: int) -> Adjusted:
        return adjust_points(user=alice, system_key="xp", points=50, reason="Gift", operator="maria", token=token)

    given = in_parallel(4, give)
    assert sorted(each.again for each in given) == [False, True, True, True]
    assert len({each.award_id for each in given}) == 1
    adjust_points(user=alice, system_key="xp", points=500, reason="More", operator="maria", token=uuid4())
    first = PointsAdjustment.objects.get(award_id=given[0].award_id)

    def take_back(_: int) -> bool:
        fields: dict[str, Any] = {"points": -50, "reason": "Mistake", "operator": "maria", "reverses": first}
        try:
            adjust_points(user=alice, system_key="xp", token=uuid4(), **fields)
        except Refusal:
            return False
        return True

    assert sorted(in_parallel(4, take_back)) == [False, False, False, True]
    assert total_of(alice) == 500
    assert not [finding for finding in verify() if finding.count]


@pytest.mark.django_db(transaction=True)
def test_of_parallel_confirmations_of_one_balance_one_moves_points(transactional_db: None, api: Api) -> None:
    make_game()
    api.send("POST", "/v1/users", {"id": "alice"})
    alice = EndUser.objects.get()
    for name in ("maria", "olivia"):
        User.objects.create_superuser(name)
    adjust(client_of("maria"), alice, 100)
    address = f"{page_of(alice)}adjust/"

    def confirmation(client: Client) -> dict[str, str]:
        form = form_of(client, address, system="xp", points="-40", reason="Refund")
        return confirmation_of(client, address, form)

    clients = [client_of("maria"), client_of("olivia")]
    given = [confirmation(client) for client in clients]
    answers = in_parallel(2, lambda number: clients[number].post(address, given[number]))
    assert sorted(answer.status_code for answer in answers) == [200, 302]
    assert total_of(alice) == 60


def client_of(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client
