"""Edits of levels: whose level they change is said before, and these users are told once, if that is asked for."""

import io
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from core.services import archive, create_checked, restore, update_checked
from engine import level_notices
from engine.inputs import AdjustInput, IdentifyInput
from engine.pipeline import process
from engine.rule_book import current_revision
from engine.tick_messages import ConfigurationMovedError, message_terms
from levels.models import Level, LevelNotice
from levels.notices import editing_levels, gaps
from levels.rules import Ladder, edited_ranges, level_for
from levels.store import ladder_from, read_levels
from points.models import PointsBalance
from points.rules import Adjustment
from tests.conftest import Api, Game, make_game
from tests.test_admin import text_of
from tests.test_parallel import in_parallel
from users.rules import UserChanges
from webhooks.models import Endpoint, OutboxMessage
from webhooks.services import create_endpoint


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("olivia"))
    return client


@pytest.fixture
def study(game: Game, api: Api) -> Game:
    """Alice has 100 XP, bob 80, charlie 20, dave none; the levels begin at 0, 50 and 100."""
    create_endpoint(url="https://example.com/hook", types=["points.level_changed"])
    for key, points in (("start", 0), ("silver", 50), ("gold", 100)):
        create_checked(Level, system=game.xp, name=key.capitalize(), key=key, points=points)
    api.send("POST", "/v1/users", {"id": "dave"})
    for user, points in (("alice", 100), ("bob", 80), ("charlie", 20)):
        api.send("POST", "/v1/users", {"id": user})
        move(user, points)
    told()
    return game


def gift(user: str, points: int) -> AdjustInput:
    return AdjustInput(UserChanges(user), "xp", Adjustment(points, "Goodwill", "maria"))


def move(user: str, points: int) -> None:
    process([gift(user, points)])


def the(key: str) -> Level:
    return Level.objects.get(key=key)


def edit(game: Game, do: Callable[[], Any], *, notify: bool = True) -> int:
    """Edit levels; return how many users get another one."""
    with editing_levels(game.xp, notify=notify) as edit_:
        do()
        return edit_.changes().users


def lower_gold(game: Game, points: int = 80) -> int:
    return edit(game, lambda: update_checked(the("gold"), points=points))


def told() -> list[tuple[str, str | None, str | None, int]]:
    """Return of each message so far whom it is about, both levels and the total; forget them."""
    payloads = list(OutboxMessage.objects.order_by("number").values_list("payload", flat=True))
    OutboxMessage.objects.all().delete()
    return [
        (each["user"]["id"], key_of(each["previousLevel"]), key_of(each["newLevel"]), each["points"]["total"])
        for each in payloads
    ]


def key_of(level: dict[str, Any] | None) -> str | None:
    return None if level is None else str(level["key"])


# --- Telling ---------------------------------------------------------------------------------------------------------
def test_whose_level_an_edit_changed_is_told_once(study: Game) -> None:
    assert lower_gold(study) == 1
    assert told() == []
    assert level_notices.tell_levels() == 1
    assert told() == [("bob", "silver", "gold", 80)]
    assert level_notices.tell_levels() == 0
    notice = LevelNotice.objects.get()
    assert (notice.users, notice.told, notice.finished is not None) == (4, 1, True)


def test_a_notice_is_as_the_message_of_an_event(study: Game) -> None:
    move("charlie", 60)
    of_event = OutboxMessage.objects.get().payload
    lower_gold(study)
    level_notices.tell_levels()
    payloads = OutboxMessage.objects.order_by("-number").values_list("payload", flat=True)
    of_charlie = next(each for each in payloads if each["user"]["id"] == "charlie")
    assert of_charlie.keys() == of_event.keys()
    assert of_charlie["user"] == of_event["user"]
    assert of_charlie["points"] == of_event["points"]
    assert of_charlie["previousLevel"] == of_event["newLevel"]


def test_nobody_is_told_unless_asked_for_or_without_a_change(study: Game) -> None:
    assert edit(study, lambda: update_checked(the("gold"), points=80), notify=False) == 1
    assert edit(study, lambda: update_checked(the("gold"), name="Golden")) == 0
    assert not LevelNotice.objects.exists()


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        (lambda game: update_checked(the("silver"), points=90), [("bob", "silver", "start", 80)]),
        (lambda game: archive(row=the("gold")), [("alice", "gold", "silver", 100)]),
        (
            lambda game: create_checked(Level, system=game.xp, name="Platinum", key="platinum", points=60),
            [("bob", "silver", "platinum", 80)],
        ),
        (lambda game: archive(row=the("start")), [("charlie", "start", None, 20)]),
    ],
    ids=["raised", "archived", "added", "below all"],
)
def test_every_edit_of_levels_tells(study: Game, do: Callable[[Game], Any], expected: list[Any]) -> None:
    edit(study, lambda: do(study))
    level_notices.tell_levels()
    assert told() == expected


def test_a_restored_level_is_told(study: Game) -> None:
    gold = the("gold")
    archive(row=gold)
    edit(study, lambda: restore(row=gold))
    level_notices.tell_levels()
    assert told() == [("alice", "silver", "gold", 100)]


def test_who_has_no_award_yet_is_counted_and_told_by_the_first(study: Game) -> None:
    with editing_levels(study.xp, notify=True) as edit_:
        archive(row=the("start"))
        changes = edit_.changes()
    assert (changes.users, changes.without_awards) == (2, 1)
    level_notices.tell_levels()
    assert [user for user, *_ in told()] == ["charlie"]


# --- With other things at the same time ------------------------------------------------------------------------------
def test_an_event_before_the_notice_comes_leaves_the_last_word_right(study: Game) -> None:
    lower_gold(study, 90)
    move("bob", 10)  # gold by the levels as they are: silver to gold
    move("charlie", 35)
    move("alice", -15)  # gold to silver
    assert told() == [
        ("bob", "silver", "gold", 90),
        ("charlie", "start", "silver", 55),
        ("alice", "gold", "silver", 85),
    ]
    level_notices.tell_levels()
    assert told() == []


def test_who_an_event_told_between_two_edits_is_told_of_the_second(study: Game) -> None:
    lower_gold(study, 90)
    move("bob", 15)
    assert told() == [("bob", "silver", "gold", 95)]
    edit(study, lambda: update_checked(the("gold"), points=100), notify=False)
    level_notices.tell_levels()
    assert told() == [("bob", "gold", "silver", 95)]


def test_one_who_would_have_fallen_and_climbed_again_by_then_is_not_told(study: Game) -> None:
    edit(study, lambda: update_checked(the("silver"), points=90))
    move("bob", 10)
    assert told() == [("bob", "start", "silver", 90)]
    level_notices.tell_levels()
    assert told() == []


def test_several_edits_in_a_row_are_one_change_from_the_first_to_the_last(study: Game) -> None:
    lower_gold(study, 80)
    edit(study, lambda: create_checked(Level, system=study.xp, name="Platinum", key="platinum", points=79))
    lower_gold(study, 75)
    assert LevelNotice.objects.count() == 1
    level_notices.tell_levels()
    assert told() == [("alice", "gold", "platinum", 100), ("bob", "silver", "platinum", 80)]


def test_an_edit_that_is_taken_back_tells_nobody(study: Game) -> None:
    lower_gold(study, 80)
    lower_gold(study, 100)
    level_notices.tell_levels()
    assert told() == []


class CrashError(Exception):
    """A worker's end."""


def tell_two_and_crash() -> None:
    """Let a worker tell the first two users, and end in the middle of the next ones."""
    times = iter([timezone.now()])

    def clock() -> datetime:
        try:
            return next(times)
        except StopIteration:
            raise CrashError from None

    with pytest.raises(CrashError):
        level_notices.tell_levels(clock, chunk=2)


def test_a_crash_repeats_nothing_and_leaves_out_nobody(study: Game) -> None:
    move("charlie", 60)
    told()
    lower_gold(study)
    tell_two_and_crash()
    assert told() == [("bob", "silver", "gold", 80)]
    level_notices.tell_levels(chunk=2)
    assert told() == [("charlie", "silver", "gold", 80)]


def test_edits_while_a_notice_is_under_way_tell_each_user_of_what_they_were_not_told(study: Game) -> None:
    move("charlie", 60)
    told()
    lower_gold(study)
    tell_two_and_crash()
    assert told() == [("bob", "silver", "gold", 80)]
    lower_gold(study, 85)
    assert LevelNotice.objects.count() == 2
    level_notices.tell_levels()
    assert told() == [("bob", "gold", "silver", 80)]  # charlie is silver again, and never heard of anything else


def test_without_an_endpoint_that_wants_it_nobody_is_told(study: Game) -> None:
    Endpoint.objects.update(status="disabled")
    lower_gold(study)
    assert level_notices.tell_levels() == 0
    assert LevelNotice.objects.get().finished is not None
    assert told() == []


@pytest.mark.django_db(transaction=True)
def test_while_users_workers_and_edits_go_on_the_last_word_to_each_user_is_the_level_they_have() -> None:
    game = make_game()
    create_endpoint(url="https://example.com/hook", types=["points.level_changed"])
    for key, points in (("start", 0), ("silver", 50), ("gold", 100)):
        create_checked(Level, system=game.xp, name=key, key=key, points=points)
    names = [f"user-{number:02}" for number in range(40)]
    process([IdentifyInput(UserChanges(name)) for name in names])
    process([gift(name, 60 + 2 * number) for number, name in enumerate(names)])

    def act(number: int) -> None:
        if number == 0:
            for points in (90, 70, 120, 65):
                lower_gold(game, points)
        elif number < 3:
            for _ in range(15):
                level_notices.tell_levels(chunk=7)
        else:
            for name in names:
                process([gift(name, 5 if number == 3 else -4)])

    in_parallel(5, act)
    level_notices.tell_levels()
    last = {user: new for user, _, new, _ in told()}
    ladder = ladder_from(read_levels(game.xp))
    keys = {str(level.id): level.key for level in Level.objects.all()}
    totals = PointsBalance.objects.values_list("user__external_id", "total")
    assert last == {user: keys[level_for(ladder, total) or ""] for user, total in totals}


def test_a_tick_that_the_configuration_overtook_is_claimed_again(study: Game) -> None:
    trigger = study.trigger(5, type="time", time_unit="hour", time_interval=1, metric=None, metric_threshold=None)
    revision = current_revision()
    assert message_terms(revision, trigger.id, None) is not None
    lower_gold(study)
    with pytest.raises(ConfigurationMovedError):
        message_terms(revision - 1, trigger.id, None)


# --- Who is in no open notice ----------------------------------------------------------------------------------------
@given(cuts=st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1, max_size=6), ends=st.booleans())
def test_the_gaps_are_whom_no_notice_is_for(cuts: list[str], ends: bool) -> None:
    cuts.sort()
    taken: list[tuple[str, str | None]] = list(zip(cuts[::2], cuts[1::2], strict=False))
    if ends and len(cuts) % 2:
        taken.append((cuts[-1], None))
    for user in "abcdefghi":
        inside = [low for low, high in (*taken, *gaps(taken)) if user > low and (high is None or user <= high)]
        assert len(inside) == 1


@given(
    before=st.sets(st.integers(0, 12), max_size=4),
    after=st.sets(st.integers(0, 12), max_size=4),
    total=st.integers(0, 15),
)
def test_the_edited_ranges_are_the_totals_with_another_level(before: set[int], after: set[int], total: int) -> None:
    old, new = (Ladder(tuple(sorted(each)), tuple(map(str, sorted(each)))) for each in (before, after))
    is_edited = any(low <= total and (high is None or total < high) for low, high in edited_ranges(old, new))
    assert is_edited == (level_for(old, total) != level_for(new, total))


# --- In the admin ----------------------------------------------------------------------------------------------------
def form_of(level: Level, **fields: Any) -> dict[str, Any]:
    return {"name": level.name, "points": level.points, "description": "", "badge_url": "", **fields}


def change_page(level: Level) -> str:
    return f"/admin/levels/level/{level.id}/change/"


def test_the_form_says_whose_level_changes_and_saves_only_then(study: Game, operator: Client) -> None:
    gold = the("gold")
    asked = operator.post(change_page(gold), form_of(gold, points=80, notify="on"))
    assert "Nothing is saved yet. 1 user gets another level. «Tell these users»" in text_of(asked)
    assert "is on: they are told. Save again if that is right." in text_of(asked)
    assert "Please correct" not in text_of(asked)
    assert the("gold").points == 100
    shown = asked.context["adminform"].form
    again = {name: shown[name].value() or "" for name in ("name", "points", "description", "badge_url", "confirmed")}
    assert (again["name"], again["points"], shown["notify"].value()) == ("Gold", "80", True)
    saved = operator.post(change_page(gold), {**again, "notify": "on"}, follow=True)
    assert "1 user gets another level. They are told in the background." in text_of(saved)
    assert "levels edited at" in text_of(saved)
    assert the("gold").points == 80
    assert level_notices.tell_levels() == 1
    assert "1 user told, finished at" in text_of(operator.get("/admin/levels/level/"))


def test_a_confirmation_holds_only_for_the_edit_that_was_shown(study: Game, operator: Client) -> None:
    gold = the("gold")
    asked = operator.post(change_page(gold), form_of(gold, points=80))
    assert "To tell them, turn on «Tell these users» at the end of this page." in text_of(asked)
    confirmed = asked.context["adminform"].form["confirmed"].value()
    again = operator.post(change_page(gold), form_of(gold, points=20, confirmed=confirmed))
    assert "Nothing is saved yet. 2 users get another level." in text_of(again)


def test_an_edit_that_changes_nobody_s_level_asks_nothing(study: Game, operator: Client) -> None:
    gold = the("gold")
    assert operator.post(change_page(gold), form_of(gold, name="Golden", points=95)).status_code == 302
    assert not LevelNotice.objects.exists()


def test_a_new_level_says_whose_level_it_changes(study: Game, operator: Client) -> None:
    new = {"system": study.xp.id, "name": "Bronze", "key": "bronze", "points": 10, "description": "", "badge_url": ""}
    asked = operator.post("/admin/levels/level/add/", new)
    assert "1 user gets another level." in text_of(asked)
    confirmed = asked.context["adminform"].form["confirmed"].value()
    operator.post("/admin/levels/level/add/", {**new, "confirmed": confirmed})
    assert the("bronze").points == 10
    assert not LevelNotice.objects.exists()


def test_archiving_and_restoring_say_whose_level_changes_and_tell_if_asked_to(study: Game, operator: Client) -> None:
    gold = the("gold")
    for action, old, new in (("archive", "gold", "silver"), ("restore", "silver", "gold")):
        asked = {"action": f"{action}_selected", "_selected_action": str(gold.id)}
        page = operator.post("/admin/levels/level/?archived=with", asked)
        assert "1 user gets another level." in text_of(page)
        done = operator.post(
            "/admin/levels/level/?archived=with", {**asked, "confirmed": "yes", "notify": "on"}, follow=True
        )
        assert f"1 {action}d." in text_of(done)
        level_notices.tell_levels()
        assert told() == [("alice", old, new, 100)]


def test_the_dialog_of_one_level_counts_too(study: Game, operator: Client) -> None:
    address = f"/admin/levels/level/{the('gold').id}/archive_one/"
    assert "1 user gets another level." in text_of(operator.get(address))
    operator.post(address, {"_form_submitted": "True", "notify": "on"})
    assert the("gold").status == "archived"
    assert level_notices.tell_levels() == 1


# --- In the Admin API and the file of rules --------------------------------------------------------------------------
def test_the_admin_api_says_how_many_users_change_level_and_tells_if_asked_to(study: Game, api: Api) -> None:
    levels = f"/admin-api/v1/points/{study.xp.id}/levels"
    lowered = [{"id": str(the("gold").id), "points": 80}]

    tried = api.send("PATCH", f"{levels}?dryRun=true&notifyUsers=true", lowered)
    assert tried.json()["changes"] == {"users": 1, "usersWithoutAwards": 0}
    assert tried.json()["updated"][0]["points"] == 80
    assert (the("gold").points, LevelNotice.objects.count()) == (100, 0)

    silent = api.send("PATCH", levels, lowered).json()
    assert (silent["changes"]["users"], LevelNotice.objects.count()) == (1, 0)
    added = api.send("POST", f"{levels}?notifyUsers=true", [{"name": "Bronze", "key": "bronze", "points": 10}])
    assert (added.status_code, added.json()["changes"]["users"]) == (201, 1)
    assert level_notices.tell_levels() == 1
    assert told() == [("charlie", "start", "bronze", 20)]
    deleted = api.send("DELETE", f"{levels}?ids={the('start').id}&notifyUsers=true").json()
    assert deleted["changes"] == {"users": 1, "usersWithoutAwards": 1}


def test_a_word_that_is_neither_true_nor_false_stores_nothing(study: Game, api: Api) -> None:
    levels = f"/admin-api/v1/points/{study.xp.id}/levels"
    answer = api.send("PATCH", f"{levels}?dryRun=1", [{"id": str(the("gold").id), "points": 80}])
    assert (answer.status_code, answer.json()["error"]) == (422, "dryRun must be true or false.")
    assert the("gold").points == 100


def test_the_file_of_rules_says_whose_level_changes_before_and_after(study: Game, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"

    def run(*words: str) -> str:
        out = io.StringIO()
        call_command("config", *words, stdout=out)
        return out.getvalue()

    run("export", str(file))
    file.write_text(file.read_text().replace("points: 100", "points: 80"))
    assert "points.xp.levels: 1 user gets another level." in run("plan", str(file))
    assert the("gold").points == 100
    said = run("apply", str(file), "--notify-users")
    assert "points.xp.levels: 1 user gets another level. They are told in the background." in said
    level_notices.tell_levels()
    assert told() == [("bob", "silver", "gold", 80)]
