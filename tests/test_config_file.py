"""The rules as a file: written, compared, and made true, so that a product keeps them in git."""

import io
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from achievements.models import Achievement, Backdating, Completion
from achievements.services import create_achievement
from boosts.models import Boost, BoostStatus
from boosts.services import create_boost, finish_boosts
from config.demo import create_rules
from config.demo_badges import draw_badge
from config.rule_file.apply import LOCKED, apply
from config.rule_file.badges import Badges
from config.rule_file.parse import parse
from config.rule_file.schema import RuleFileError
from config.rule_file.text import read_yaml, write_yaml
from core.images import badge_name
from core.models import ConfigurationRevision
from core.services import archive, create_checked, update_checked
from levels.models import Level
from metrics.models import Metric, MetricTotal
from points.models import PointsAward, PointsSystem, PointsTrigger
from streaks.models import StreakMetric, StreakSettings
from tests.conftest import Api, Game, make_game
from tests.test_admin import meeting
from tests.test_parallel import in_parallel

pytestmark = pytest.mark.django_db

HUNT = int(os.environ.get("HUNT", "1"))

BASE = """\
version: 1
attributes:
  user:
    plan: {name: Plan}
  event:
    category: {name: Category}
metrics:
  lessons: {name: Lessons completed}
  flashcards: {name: Flashcards flipped}
"""


@dataclass
class Rules:
    """A file of rules, and the commands on it."""

    path: Path

    def write(self, text: str) -> "Rules":
        self.path.write_text(text)
        return self

    def edit(self, old: str, new: str) -> "Rules":
        text = self.path.read_text()
        assert old in text
        return self.write(text.replace(old, new))

    def apply(self, *options: str) -> str:
        return run("apply", str(self.path), *options)

    def plan(self, *options: str) -> str:
        return run("plan", str(self.path), *options)

    def export(self) -> "Rules":
        run("export", str(self.path))
        return self

    @property
    def text(self) -> str:
        return self.path.read_text()

    def problems(self, *options: str) -> list[str]:
        """Return why the file is refused, by plan and by apply alike; nothing is stored."""
        before = exported()
        with pytest.raises(CommandError) as of_plan:
            self.plan(*options)
        with pytest.raises(CommandError) as of_apply:
            self.apply(*options)
        assert str(of_plan.value) == str(of_apply.value)
        assert exported() == before
        first, *lines = str(of_apply.value).splitlines()
        assert first == "Nothing was changed:"
        return [line.strip() for line in lines]


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    return Rules(tmp_path / "rules.yaml")


def run(*arguments: str) -> str:
    """Return what the command prints."""
    out = io.StringIO()
    call_command("config", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def exported() -> str:
    return run("export", "-")


def forget_everything() -> None:
    """Be another server, on which nothing was set up yet."""
    for model in reversed(LOCKED):
        model._default_manager.all().delete()


# --- There and back ---------------------------------------------------------------------------------------------------
def test_the_whole_demo_comes_back_on_an_empty_server(rules: Rules) -> None:
    create_rules()
    text = rules.export().text
    forget_everything()
    assert rules.apply().endswith("32 created, 1 changed.\n")
    assert exported() == text
    assert rules.plan("--prune") == "No changes.\n"


def test_the_example_in_the_docs_works(rules: Rules) -> None:
    docs = (Path(settings.BASE_DIR) / "docs" / "configuration-as-code.md").read_text()
    example = re.search(r"```yaml\n(.*?)```", docs, re.DOTALL)
    assert example
    text = re.sub(" *badge: .*\n", "", example[1])
    with time_machine.travel("2026-11-25T09:00Z"):
        rules.write(text).apply()
        assert exported().partition("\n\n")[2] == text


def test_a_file_is_canonical_whatever_the_order_in_which_things_were_made(rules: Rules, game: Game) -> None:
    text = rules.export().text
    forget_everything()
    for name in ("energy", "xp"):
        create_checked(PointsSystem, name=name, key=name)
    rules.apply()
    assert exported() == text


def test_applying_twice_changes_nothing_the_second_time(rules: Rules) -> None:
    rules.write(BASE).apply()
    revision = ConfigurationRevision.objects.get().revision
    assert rules.apply() == "No changes.\n"
    assert ConfigurationRevision.objects.get().revision == revision


def test_plan_says_what_apply_does_and_stores_nothing(rules: Rules) -> None:
    rules.write(BASE)
    planned = rules.plan()
    assert not Metric.objects.exists()
    assert rules.apply() == planned.replace("to create", "created")
    assert Metric.objects.count() == 2


def test_plan_can_tell_a_script_whether_there_are_changes(rules: Rules) -> None:
    with pytest.raises(SystemExit) as stopped:
        rules.write(BASE).plan("--exit-code")
    assert stopped.value.code == 2
    rules.apply()
    assert rules.plan("--exit-code") == "No changes.\n"


EVERYTHING = """\
version: 1

attributes:
  user:
    plan:
      name: Plan
  event:
    category:
      name: Category

metrics:
  lessons:
    name: Lessons completed
    units: lessons
  spent:
    name: Money spent
    unit_type: currency
    units: USD

streaks:
  frequency: weekly
  evaluation_mode: AND
  metrics:
    lessons: 2.5

achievements:
  All:
    type: achievement
    prerequisites:
      - Learner
      - tour
    status: inactive
  Learner:
    type: metric
    description: |-
      Learn a lot.

      Then learn more.
    metric: lessons
    metric_value: 0.000000001
    user_attributes:
      plan: 'no'
    event_attributes:
      category: '5'
    badge: https://example.com/learner.png
    status: locked
  Learner (2):
    type: streak
    name: Learner
    streak_length: 7
  tour:
    type: api
    name: Toured

points:
  xp:
    name: XP
    description: 'Experience: it only grows.'
    max_points: 1000
    levels:
      novice:
        name: Novice
        points: 0
      master:
        name: Master
        points: 100
        description: The top.
    triggers:
      - type: metric
        metric: lessons
        metric_threshold: 1
        points: -3
        block_if_out_of_points: true
      - type: user_creation
        points: 10
      - type: time
        time_unit: day
        time_interval: 2
        points: 1
        status: inactive
      - type: achievement
        achievement: Learner (2)
        points: 5
      - type: streak
        streak_length: 7
        points: 5
    boosts:
      - name: Long ago, and never live
        start: 2001-01-01
        end: 2001-01-02
        multiplier: 2
        status: inactive
      - name: For ever
        start: 2026-01-01
        multiplier: 1.25
        rounding: nearest
        user_attributes:
          plan: pro
"""


def test_everything_that_a_file_can_say_reads_back_as_it_was_written(rules: Rules) -> None:
    rules.write(EVERYTHING).apply()
    assert exported().partition("\n\n")[2] == EVERYTHING
    assert rules.plan("--prune") == "No changes.\n"
    assert Level.objects.get(key="master").points == 100
    assert Achievement.objects.get(key="tour").name == "Toured"
    assert Boost.objects.get(name="For ever").multiplier == Decimal("1.25")


def test_a_file_without_a_section_leaves_that_part_alone(rules: Rules) -> None:
    rules.write(EVERYTHING).apply()
    assert rules.write("version: 1\nmetrics: {}\n").plan().count("\n") == 4
    assert rules.write("version: 1\npoints:\n  xp: {name: XP, max_points: 5}\n").plan("--prune") == (
        "~ points.xp\n    description: Experience: it only grows. -> (none)\n    max_points: 1000 -> 5\n1 to change.\n"
    )


TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"))


@hypothesis_settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        TEXT | st.booleans() | st.integers() | st.decimals(-(10**15), 10**15, places=9) | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
        max_leaves=8,
    )
)
def test_whatever_is_written_as_yaml_reads_back_exactly(value: Any) -> None:
    written = write_yaml({"value": value}).encode()
    assert read_yaml(written) == {"value": value}


# --- What a plan looks like -------------------------------------------------------------------------------------------
GOLDEN = """\
+ attributes.user.country
    name: Country
~ metrics.lessons
    name: Lessons completed -> Lessons
    units: (none) -> lessons
~ streaks
    frequency: daily -> weekly
    metrics.lessons: (none) -> 2.5
+ achievements.«On fire»
    type: streak
    name: On fire
    description: "Study.\\nEvery day."
    streak_length: 7
- points.xp.triggers: +1 · flashcards: every 1, plan = pro
~ points.xp.triggers[1]: +5 · lessons: every 1
    points: 3 -> 5
+ points.xp.triggers[2]: +100 · achievement: On fire
    type: achievement
    achievement: On fire
    points: 100
    status: inactive
~ points.xp.triggers: the triggers count in the order of the file
- points.energy
- metrics.flashcards
3 to create, 4 to change, 3 to archive.
"""


def test_a_plan_reads_like_this(rules: Rules, game: Game) -> None:
    game.trigger(points=3)
    game.trigger(points=1, metric=game.flashcards, user_filters=[(game.plan, "pro")])
    game.creation_trigger(points=10)
    rules.write("""\
version: 1
attributes:
  user:
    plan: {name: Plan}
    country: {name: Country}
metrics:
  lessons: {name: Lessons, units: lessons}
streaks: {frequency: weekly, metrics: {lessons: 2.5}}
achievements:
  On fire: {type: streak, streak_length: 7, description: "Study.\\nEvery day."}
points:
  xp:
    name: XP
    triggers:
      - {type: user_creation, points: 10}
      - {type: metric, metric: lessons, metric_threshold: 1, points: 5}
      - {type: achievement, achievement: On fire, points: 100, status: inactive}
""")
    assert rules.plan("--prune") == GOLDEN


def test_what_is_not_in_the_file_is_kept_and_named(rules: Rules, game: Game) -> None:
    game.trigger(points=3)
    rules.write("version: 1\nmetrics:\n  lessons: {name: Lessons completed}\npoints:\n  xp: {name: XP, triggers: []}\n")
    assert rules.apply() == (
        "Not in the file, and kept (--prune archives them):\n"
        "    metrics.flashcards\n"
        "    points.energy\n"
        "    points.xp.triggers: +3 · lessons: every 1\n"
        "No changes.\n"
    )


# --- What is the same, and what is another ----------------------------------------------------------------------------
def triggers() -> list[PointsTrigger]:
    return list(PointsTrigger.objects.exclude(status="archived").order_by("created", "id"))


def of_xp(*items: str) -> str:
    return BASE + "points:\n  xp:\n    name: XP\n    triggers:\n" + "".join(f"      - {item}\n" for item in items)


LESSON = "{type: metric, metric: lessons, metric_threshold: 1, points: 5}"


def test_other_points_change_the_trigger_and_the_ledger_keeps_pointing_to_it(rules: Rules, api: Api) -> None:
    rules.write(of_xp(LESSON)).apply()
    api.event("alice")
    rules.edit("points: 5", "points: 7").apply()
    api.event("alice")
    assert [trigger.points for trigger in triggers()] == [7]
    assert set(PointsAward.objects.values_list("trigger", "awarded")) == {(triggers()[0].id, 5), (triggers()[0].id, 7)}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("metric_threshold: 1,", "metric_threshold: 2,"),
        ("points: 5", "points: -5, block_if_out_of_points: true"),
        ("points: 5", "points: 5, user_attributes: {plan: pro}"),
        ("metric_threshold: 1, points: 5", "metric_threshold: 9, points: 50, status: inactive"),
    ],
)
def test_a_trigger_on_the_same_metric_is_changed_whatever_changes(rules: Rules, old: str, new: str) -> None:
    rules.write(of_xp(LESSON)).apply()
    before = triggers()
    assert rules.edit(old, new).apply().endswith("\n1 changed.\n")
    assert triggers() == before
    assert rules.plan() == "No changes.\n"


def test_triggers_that_are_alike_are_told_apart_by_what_they_share_most(rules: Rules) -> None:
    five, six, gone = (LESSON.replace("points: 5", f"points: {points}") for points in (5, 6, 7))
    rules.write(of_xp(five, six, gone)).apply()
    first, second, third = triggers()
    rules.write(of_xp(six, five.replace("threshold: 1", "threshold: 10"))).apply("--prune")
    assert triggers() == [second, first]
    assert [trigger.metric_threshold for trigger in triggers()] == [1, 10]
    third.refresh_from_db()
    assert third.status == "archived"


def test_a_trigger_on_another_metric_is_another_trigger(rules: Rules) -> None:
    rules.write(of_xp(LESSON)).apply()
    rules.edit("metric: lessons", "metric: flashcards")
    assert rules.plan().endswith("\n1 to create.\n")
    assert rules.apply("--prune").endswith("\n1 created, 1 archived.\n")


def test_triggers_count_in_the_order_of_the_file(rules: Rules, api: Api) -> None:
    rules.write(of_xp(LESSON, LESSON.replace("points: 5", "points: -2"))).apply()
    rules.write(of_xp(LESSON.replace("points: 5", "points: -1"), LESSON.replace("points: 5", "points: -2"), LESSON))
    assert "the triggers count in the order of the file" in rules.plan()
    rules.apply()
    assert rules.plan() == "No changes.\n"
    assert [trigger.points for trigger in triggers()] == [-1, -2, 5]
    awards = api.event("alice").json()["points"]["xp"]["awards"]
    assert [award["awarded"] for award in awards] == [5]


def test_an_achievement_under_another_name_is_renamed_and_stays_completed(rules: Rules, api: Api) -> None:
    rules.write(
        BASE
        + """\
achievements:
  Learner: {type: metric, metric: lessons, metric_value: 1}
  All: {type: achievement, prerequisites: [Learner]}
points:
  xp: {name: XP, triggers: [{type: achievement, achievement: Learner, points: 5}]}
"""
    ).apply()
    api.event("alice")
    rules.edit("Learner", "Student")
    assert rules.apply("--prune") == "~ achievements.Student\n    name: Learner -> Student\n1 changed.\n"
    assert Completion.objects.get(achievement__name="Student").user.external_id == "alice"
    assert rules.plan("--prune") == "No changes.\n"


def test_an_achievement_that_the_product_completes_is_known_by_its_key_alone(rules: Rules) -> None:
    rules.write("version: 1\nachievements:\n  tour: {type: api, name: Tour}\n").apply()
    assert rules.edit("tour:", "guide:").plan("--prune").endswith("\n1 to create, 1 to archive.\n")


def test_two_achievements_of_one_name_are_told_apart_by_their_conditions(rules: Rules) -> None:
    for length in (5, 9):
        create_achievement(name="Star", type="streak", streak_length=length)
    rules.export()
    archive(row=Achievement.objects.get(streak_length=5))
    assert rules.apply().startswith("+ achievements.Star (brought back from the archive)\n")
    assert set(Achievement.objects.values_list("streak_length", "status")) == {(5, "inactive"), (9, "inactive")}
    assert rules.plan("--prune") == "No changes.\n"


# --- The archive ------------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_what_was_archived_is_brought_back_with_its_history(rules: Rules, api: Api) -> None:
    rules.write(BASE + "achievements:\n  Learner: {type: metric, metric: lessons, metric_value: 2}\n").apply()
    api.event("alice", 2)
    rules.write("version: 1\nachievements: {}\nmetrics: {}\n").apply("--prune")
    assert api.event("alice").status_code == 404
    rules.write(BASE + "achievements:\n  Learner: {type: metric, metric: lessons, metric_value: 3}\n")
    assert rules.apply() == (
        "+ metrics.lessons (brought back from the archive)\n"
        "+ metrics.flashcards (brought back from the archive)\n"
        "+ achievements.Learner (brought back from the archive)\n"
        "    metric: lessons (archived) -> lessons\n"
        "    metric_value: 2 -> 3\n"
        "    status: inactive -> active\n"
        "3 restored.\n"
    )
    api.event("alice")
    assert MetricTotal.objects.get().total == 3
    assert Completion.objects.count() == 1
    call_command("verify", stdout=io.StringIO())


def test_a_points_system_comes_back_with_what_users_have_in_it(rules: Rules, api: Api) -> None:
    rules.write(of_xp(LESSON)).apply()
    api.event("alice")
    rules.write("version: 1\npoints: {}\n").apply("--prune")
    assert api.get("/v1/users/alice/points/xp").status_code == 404
    assert rules.write(of_xp(LESSON)).apply().startswith("+ points.xp (brought back from the archive)\n")
    api.event("alice")
    assert api.points("alice")["total"] == 10
    assert rules.plan("--prune") == "No changes.\n"


def test_a_level_comes_back_at_other_points_than_those_that_another_has_now(rules: Rules) -> None:
    levels = "version: 1\npoints:\n  xp:\n    name: XP\n    levels: "
    rules.write(levels + "{pro: {name: Pro, points: 5}}\n").apply()
    rules.write(levels + "{expert: {name: Expert, points: 5}}\n").apply("--prune")
    rules.write(levels + "{expert: {name: Expert, points: 5}, pro: {name: Pro, points: 9}}\n").apply()
    assert dict(Level.objects.values_list("key", "points")) == {"expert": 5, "pro": 9}


def test_a_points_system_goes_with_its_triggers_so_that_metrics_can_go_too(rules: Rules, game: Game) -> None:
    game.trigger(points=3)
    rules.write("version: 1\nmetrics: {}\npoints: {}\n")
    assert rules.apply("--prune").splitlines() == [
        "- points.xp.triggers: +3 · lessons: every 1",
        "- points.energy",
        "- points.xp",
        "- metrics.flashcards",
        "- metrics.lessons",
        "5 archived.",
    ]


def test_what_is_needed_by_what_stays_is_not_archived(rules: Rules, game: Game) -> None:
    game.trigger(points=3)
    create_checked(StreakMetric, settings=create_checked(StreakSettings), metric=game.flashcards, threshold=1)
    assert rules.write("version: 1\nmetrics: {}\n").problems("--prune") == [
        "metrics.flashcards: «Flashcards flipped» cannot be archived: it is used by the streak settings "
        "(Flashcards flipped).",
        "metrics.lessons: «Lessons completed» cannot be archived: it is used by +3 · Lessons completed: every 1.",
    ]


def test_what_cannot_work_because_it_names_something_archived_is_left_out(rules: Rules, game: Game) -> None:
    game.trigger(points=3, status="inactive", user_filters=[(game.plan, "pro")])
    archive(row=game.plan)
    errors = io.StringIO()
    call_command("config", "export", str(rules.path), stdout=io.StringIO(), stderr=errors)
    assert "Left out: points.xp: «+3 · lessons: every 1, plan (archived) = pro» names something" in errors.getvalue()
    assert "triggers: []" in rules.text
    assert rules.plan().startswith("Not in the file, and kept")


# --- Each kind --------------------------------------------------------------------------------------------------------
def test_levels_can_exchange_their_points(rules: Rules) -> None:
    rules.write(EVERYTHING).apply()
    rules.edit("points: 0\n", "points: -1\n").edit("points: 100\n", "points: 0\n").edit("points: -1\n", "points: 100\n")
    assert rules.apply().endswith("\n2 changed.\n")
    assert dict(Level.objects.values_list("key", "points")) == {"novice": 100, "master": 0}


def test_a_level_can_take_the_place_of_one_that_goes(rules: Rules) -> None:
    rules.write(EVERYTHING).apply()
    rules.edit("novice:", "beginner:")
    assert rules.problems() == [
        "points.xp.levels.beginner.points: Points already in use by another level of this points system."
    ]
    rules.apply("--prune")
    assert rules.plan("--prune") == "No changes.\n"


def test_the_metrics_of_the_streak_are_those_of_the_file(rules: Rules, game: Game) -> None:
    rules.write("version: 1\nstreaks: {frequency: monthly, metrics: {lessons: 2, flashcards: 3}}\n").apply()
    rules.write("version: 1\nstreaks: {metrics: {lessons: 2.5}}\n").apply()
    assert StreakSettings.objects.get().frequency == "daily"
    assert list(StreakMetric.objects.values_list("metric__key", "threshold")) == [("lessons", Decimal("2.5"))]
    assert rules.write("version: 1\nstreaks: {metrics: {lessons: 0}}\n").problems() == [
        "streaks.metrics.lessons must be greater than 0."
    ]


def test_activating_an_achievement_looks_back_and_deactivating_is_refused(rules: Rules) -> None:
    rules.write("version: 1\nachievements:\n  Fire: {type: streak, streak_length: 7, status: inactive}\n").apply()
    assert not Backdating.objects.exists()
    rules.edit(", status: inactive", "").apply()
    assert Backdating.objects.count() == 1
    assert rules.edit("length: 7", "length: 7, status: inactive").problems() == [
        "achievements.Fire.status can only become locked: the achievement is active."
    ]
    rules.edit("status: inactive", "status: locked").apply()
    assert Achievement.objects.get().status == "locked"


def test_an_achievement_can_wait_for_one_that_stands_below_it(rules: Rules) -> None:
    rules.write("""\
version: 1
achievements:
  A: {type: achievement, prerequisites: [B, C]}
  B: {type: achievement, prerequisites: [C]}
  C: {type: streak, streak_length: 7}
""").apply()
    assert rules.plan("--prune") == "No changes.\n"
    rules.edit("C: {type: streak, streak_length: 7}", "C: {type: achievement, prerequisites: [A]}")
    (problem,) = rules.problems()
    assert problem.startswith("achievements: prerequisites go round in a circle: «")


def test_a_time_trigger_counts_anew_only_where_its_interval_changes(rules: Rules) -> None:
    rules.write(of_xp("{type: time, time_unit: hour, time_interval: 1, points: 5}")).apply()
    started = triggers()[0].time_started
    rules.edit("points: 5", "points: 6").apply()
    assert triggers()[0].time_started == started
    rules.edit("time_interval: 1", "time_interval: 2").apply()
    assert triggers()[0].time_started != started


# --- Boosts -----------------------------------------------------------------------------------------------------------
BOOST = """\
version: 1
points:
  xp:
    name: XP
    boosts:
      - {name: Double, start: 2026-03-10, end: 2026-03-12, multiplier: 2}
"""


@pytest.fixture
def clock() -> Any:
    """Tuesday 10 March 2026, 9:00 UTC."""
    with time_machine.travel("2026-03-10T09:00Z", tick=False) as traveller:
        yield traveller


def test_a_boost_is_live_when_it_is_applied_and_then_known_by_name_and_start(rules: Rules, clock: Any) -> None:
    rules.write(BOOST).apply()
    boost = Boost.objects.get()
    rules.edit("multiplier: 2", "multiplier: 3").apply()
    rules.edit("Double", "Triple").apply()
    rules.edit("start: 2026-03-10", "start: 2026-03-11").apply()
    found = Boost.objects.get()
    assert (found.id, found.name, found.start, found.multiplier) == (boost.id, "Triple", date(2026, 3, 11), 3)
    assert rules.edit("multiplier: 3", "multiplier: 3, status: inactive").problems() == [
        "points.xp.boosts[0].status cannot become inactive again: finish the boost, or give it an end."
    ]


def test_a_boost_that_finished_is_past_in_the_file_and_here(rules: Rules, clock: Any) -> None:
    rules.write(BOOST).apply()
    clock.move_to(datetime(2026, 4, 1, tzinfo=UTC))
    assert rules.plan("--prune") == "No changes.\n"
    assert "Double" not in exported()
    assert rules.edit("multiplier: 2", "multiplier: 3").problems() == [
        "points.xp.boosts[0]: «Double» is finished, and a finished boost cannot be changed."
    ]
    again = "      - {name: Double, start: 2026-04-10, multiplier: 2}\n"
    rules.write(BOOST + again).apply("--prune")
    assert Boost.objects.filter(name="Double", status="active").count() == 2
    rules.write(BOOST.replace("      - {name: Double, start: 2026-03-10, end: 2026-03-12, multiplier: 2}\n", again))
    assert rules.apply("--prune") == "No changes.\n"
    assert Boost.objects.filter(name="Double", status="active").count() == 2


def test_a_boost_that_is_over_is_not_made_where_it_never_was(rules: Rules, clock: Any) -> None:
    clock.move_to(datetime(2026, 4, 1, tzinfo=UTC))
    assert rules.write(BOOST).apply() == (
        "+ points.xp\n    name: XP\n"
        "points.xp.boosts[0]: «Double» is over, and was never here: it is not made.\n"
        "1 created.\n"
    )
    assert not Boost.objects.exists()


def test_a_boost_that_was_finished_by_hand_stays_finished(rules: Rules, clock: Any) -> None:
    rules.write(BOOST).apply()
    finish_boosts(boosts=Boost.objects.all())
    assert rules.apply() == "points.xp.boosts[0]: «Double» was finished here before its end.\nNo changes.\n"


def test_the_boost_of_one_user_is_no_configuration(rules: Rules, game: Game) -> None:
    create_boost(system=game.xp, name="Mine", start=date(2026, 1, 1), multiplier=Decimal(2), external_id="alice")
    assert "Mine" not in exported()
    rules.write("version: 1\npoints: {xp: {name: XP, boosts: []}}\n").apply("--prune")
    assert Boost.objects.get().status == BoostStatus.INACTIVE


def test_an_inactive_boost_is_activated(rules: Rules, clock: Any) -> None:
    rules.write(BOOST.replace("multiplier: 2", "multiplier: 2, status: inactive")).apply()
    rules.write(BOOST).apply()
    assert Boost.objects.get().activated == datetime(2026, 3, 10, 9, tzinfo=UTC)


# --- Badges -----------------------------------------------------------------------------------------------------------
BADGED = "version: 1\npoints:\n  xp: {{name: XP, badge: {badge}}}\n"


@pytest.fixture
def other_server(settings: Any, tmp_path: Path) -> Callable[[], Path]:
    """Return what goes to another server, with an empty folder of uploads, and returns that folder."""

    def go() -> Path:
        forget_everything()
        settings.MEDIA_ROOT = tmp_path / "other"
        return tmp_path / "other"

    return go


def with_uploaded_badge(rules: Rules) -> str:
    system = create_checked(PointsSystem, name="XP", key="xp", badge=draw_badge("circle", "blue", "book"))
    rules.export()
    return str(system.badge.name)


def test_uploaded_badges_lie_beside_the_file_and_come_along(rules: Rules, other_server: Callable[[], Path]) -> None:
    name = with_uploaded_badge(rules)
    assert (rules.path.parent / name).is_file()
    media = other_server()
    rules.plan()
    assert not media.exists()
    rules.apply()
    assert (media / name).read_bytes() == (rules.path.parent / name).read_bytes()
    assert PointsSystem.objects.get().badge.name == name
    (rules.path.parent / name).unlink()
    (media / name).unlink()
    assert rules.plan() == "No changes.\n"


def test_a_badge_that_is_nowhere_is_refused(rules: Rules, other_server: Callable[[], Path]) -> None:
    name = with_uploaded_badge(rules)
    (rules.path.parent / name).unlink()
    other_server()
    (problem,) = rules.problems()
    assert problem.startswith(f"points.xp.badge: «{name}» is neither on this server nor at ")


def test_a_badge_must_be_what_its_name_says_and_an_image(rules: Rules, other_server: Callable[[], Path]) -> None:
    name = with_uploaded_badge(rules)
    media = other_server()
    (rules.path.parent / name).write_bytes(b"something else")
    (problem,) = rules.problems()
    assert problem.endswith("does not hold what its name says.")
    assert not media.exists()
    (rules.path.parent / badge_name(b"no image", "png")).write_bytes(b"no image")
    (problem,) = rules.write(BADGED.format(badge=badge_name(b"no image", "png"))).problems()
    assert problem.startswith("points.xp.badge must be a PNG, JPEG, WebP or GIF image")
    (problem,) = rules.write(BADGED.format(badge="badges/../../rules.png")).problems()
    assert problem.startswith("points.xp.badge: «badges/../../rules.png» is no name of an uploaded badge")


def test_a_badge_can_be_hosted_elsewhere(rules: Rules) -> None:
    with_uploaded_badge(rules)
    rules.write(BADGED.format(badge="https://example.com/xp.png")).apply()
    assert rules.plan() == "No changes.\n"
    assert not PointsSystem.objects.get().badge
    assert rules.write(BADGED.format(badge="xp.png")).problems() == [
        "points.xp.badge must be an http:// or https:// address."
    ]


# --- What is refused --------------------------------------------------------------------------------------------------
REFUSED: dict[str, tuple[str, list[str]]] = {
    "an empty file": ("", ["The file must be a mapping of keys to values ({} for none)."]),
    "no version": ("metrics: {}", ["version must be 1: this Pointsmith knows no other."]),
    "another version": ("version: 2", ["version must be 1: this Pointsmith knows no other."]),
    "no YAML": ("version: [", ["line 2, column 1: did not find expected node content."]),
    "a key twice": (
        "version: 1\nmetrics:\n  a: {name: A}\n  a: {name: B}",
        ["line 4, column 3: «a» is there twice."],
    ),
    "a section that is no section": (
        "version: 1\nmetric: {}",
        ["metric: there is no such field; possible are version, attributes, metrics, streaks, achievements, points."],
    ),
    "an empty section": ("version: 1\nmetrics:", ["metrics must be a mapping of keys to values ({} for none)."]),
    "several fields at once": (
        "version: 1\nmetrics:\n  a: {nam: A, units: 5}\n  b c: []",
        [
            "metrics.a.nam: there is no such field; possible are name, unit_type, units.",
            "metrics.a.units must be a string, not a whole number. Put it in quotes.",
            "metrics.a.name is required.",
            "metrics.«b c» must be a mapping of keys to values ({} for none).",
        ],
    ),
    "values of another type": (
        of_xp("{type: metrik, points: '5', status: archived, user_attributes: {plan: 5}}"),
        [
            "points.xp.triggers[0].type must be metric or streak or achievement or time or user_creation.",
            "points.xp.triggers[0].points must be a whole number, not a string.",
            "points.xp.triggers[0].status must be active or inactive.",
            "points.xp.triggers[0].user_attributes.plan must be a string, not a whole number. Put it in quotes.",
        ],
    ),
    "days and numbers": (
        "version: 1\npoints:\n  xp:\n    name: XP\n    boosts: [{name: B, start: 2026-02-30, multiplier: '2'}]",
        [
            "points.xp.boosts[0].start must be a date such as 2026-01-31.",
            "points.xp.boosts[0].multiplier must be a number, not a string.",
        ],
    ),
    "names that nothing has": (
        of_xp("{type: metric, metric: lesons, metric_threshold: 1, points: 5, event_attributes: {plan: pro}}")
        + "streaks: {metrics: {nothing: 1}}\n",
        [
            "streaks.metrics: there is no metric «nothing».",
            "points.xp.triggers[0].metric: there is no metric «lesons». Is «lessons» meant?",
            "points.xp.triggers[0].event_attributes: there is no event attribute «plan».",
        ],
    ),
    "what the services refuse": (
        of_xp(LESSON, LESSON.replace("points: 5", "points: 0"), "{type: streak, metric: lessons, points: 5}")
        + "  b c: {name: B, max_points: 0}\n",
        [
            "points.xp.triggers[1].points must not be 0.",
            "points.xp.triggers[2].metric must be empty for a streak trigger.",
            "points.xp.triggers[2].streak_length is required for a streak trigger.",
            "points.«b c».key must have only letters, digits, hyphens and underscores.",
            "points.«b c».max_points: Ensure this value is greater than or equal to 1.",
        ],
    ),
    "what is needed by the refused is not said twice": (
        "version: 1\nmetrics: {a: {name: A, unit_type: currency}}\n"
        "points: {xp: {name: XP, triggers: [{type: metric, metric: a, metric_threshold: 1, points: 1}]}}",
        ["metrics.a.units must be an ISO 4217 currency code such as USD where the type is currency."],
    ),
    "filters that match nothing": (
        of_xp("{type: streak, streak_length: 7, points: 5, event_attributes: {category: ''}}"),
        ["points.xp.triggers[0].event_attributes are possible only for a metric trigger."],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_and_stores_nothing(case: str, rules: Rules) -> None:
    text, problems = REFUSED[case]
    assert rules.write(text).problems() == problems
    assert not Metric.objects.exists()


def test_an_error_in_the_last_item_stores_nothing_of_the_others(rules: Rules, game: Game) -> None:
    game.trigger(points=3)
    rules.export().edit("Lessons completed", "Lessons").edit("points: 3", "points: 4")
    rules.write(rules.text + "      - {name: Once, start: 2026-01-01, multiplier: 1}\n")
    rules.edit("boosts: []\n      -", "boosts:\n      -")
    assert rules.problems() == [
        "points.xp.boosts[0].multiplier must be more than 0, less than 100, not 1, and have at most 4 decimals."
    ]


def test_a_file_that_is_not_there_is_one_clear_error(rules: Rules) -> None:
    with pytest.raises(CommandError, match=r"rules.yaml: No such file or directory") as refused:
        rules.plan()
    assert refused.value.returncode == 1


# --- At the same moment -----------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_change_in_the_admin_at_the_same_moment_is_seen(rules: Rules) -> None:
    game = make_game()
    rules.export().edit("Lessons completed", "Lessons")
    done = meeting(lambda: update_checked(game.lessons, units="lessons"), rules.apply)
    assert "units: lessons -> (none)" in done
    assert rules.plan() == "No changes.\n"


@pytest.mark.django_db(transaction=True)
def test_of_two_files_at_the_same_moment_one_waits_for_the_other(rules: Rules, tmp_path: Path) -> None:
    rules.write(of_xp(LESSON))
    other = Rules(tmp_path / "other.yaml").write(of_xp(LESSON.replace("points: 5", "points: 6")))
    assert meeting(rules.apply, other.apply).startswith("~ points.xp.triggers[0]: +6")
    assert [trigger.points for trigger in triggers()] == [6]


@pytest.mark.django_db(transaction=True)
def test_a_change_that_takes_too_long_is_not_waited_for(rules: Rules) -> None:
    game = make_game()
    file = parse(rules.export().path.read_bytes())

    def apply_elsewhere(_: int) -> str:
        with pytest.raises(RuleFileError) as refused:
            apply(file, Badges(None), patience_s=0.1)
        return str(refused.value)

    with transaction.atomic():
        update_checked(game.lessons, units="lessons")
        assert in_parallel(1, apply_elsewhere) == [
            "Somebody else is changing the configuration at this moment: try again."
        ]


@pytest.mark.django_db(transaction=True)
def test_events_go_on_while_a_file_is_applied(rules: Rules, api: Api) -> None:
    game = make_game()
    game.trigger(points=5)
    rules.export().edit("points: 5", "points: 7")
    api.event("alice")

    with transaction.atomic():
        rules.apply()
        (answer,) = in_parallel(1, lambda _: Api(api.key).event("alice"))
        assert answer.status_code == 201
    api.event("alice")
    assert list(PointsAward.objects.order_by("seq").values_list("awarded", flat=True)) == [5, 5, 7]


def test_reading_asks_as_much_of_the_database_however_many_rows_there_are(
    rules: Rules, game: Game, django_assert_max_num_queries: Any
) -> None:
    for number in range(1, 50):
        game.trigger(points=number, every=number, user_filters=[(game.plan, str(number))])
    rules.export()
    with django_assert_max_num_queries(25):
        assert rules.plan("--prune") == "No changes.\n"


# --- Any configuration ------------------------------------------------------------------------------------------------
KEYS = st.sampled_from(["a", "b", "c"])
NAMES = st.text("xyZ 0é'#:", min_size=1, max_size=8).map(str.strip).filter(bool)
POINTS = st.integers(-5, 5).filter(bool)
FILTERS = st.dictionaries(KEYS, NAMES, max_size=2)


def mapping(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return mappings of the fields, but for those that are None."""
    return st.fixed_dictionaries(fields).map(
        lambda made: {name: each for name, each in made.items() if each is not None}
    )


def items_of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({key: mapping(**fields) for key in "abc"})


TRIGGERS = st.one_of(
    mapping(type=st.just("user_creation"), points=POINTS, user_attributes=FILTERS),
    mapping(type=st.just("streak"), streak_length=st.integers(1, 3), points=POINTS),
    mapping(type=st.just("achievement"), achievement=KEYS, points=POINTS, user_attributes=FILTERS),
    mapping(
        type=st.just("metric"),
        metric=KEYS,
        metric_threshold=st.integers(1, 3),
        points=POINTS,
        user_attributes=FILTERS,
        event_attributes=FILTERS,
        status=st.sampled_from(["active", "inactive"]),
    ),
)
BOOSTS = mapping(
    name=NAMES,
    start=st.dates(date(2030, 1, 1), date(2030, 1, 3)),
    multiplier=st.sampled_from([Decimal("0.5"), Decimal("1.0001"), Decimal(2)]),
    user_attributes=FILTERS,
)
LEVELS = st.dictionaries(st.sampled_from("opqr"), st.integers(0, 3)).filter(
    lambda levels: len(set(levels.values())) == len(levels)
)


def file_of(made: dict[str, Any]) -> str:
    """Return the text of a file."""
    for system in made["points"].values():
        system["levels"] = {key: {"name": key, "points": points} for key, points in system["levels"].items()}
    return write_yaml({"version": 1, **made})


FILES = st.fixed_dictionaries(
    {
        "attributes": st.fixed_dictionaries({"user": items_of(name=NAMES), "event": items_of(name=NAMES)}),
        "metrics": items_of(name=NAMES, units=NAMES | st.none()),
        "streaks": mapping(metrics=st.dictionaries(KEYS, st.sampled_from([1, Decimal("2.5")]))),
        "achievements": st.fixed_dictionaries(
            {key: mapping(type=st.just("api"), name=NAMES, user_attributes=FILTERS) for key in "abc"}
        ),
        "points": st.dictionaries(
            KEYS,
            mapping(
                name=NAMES, levels=LEVELS, triggers=st.lists(TRIGGERS, max_size=6), boosts=st.lists(BOOSTS, max_size=3)
            ),
        ),
    }
).map(file_of)


@hypothesis_settings(
    max_examples=5 * HUNT, deadline=None, derandomize=HUNT == 1, suppress_health_check=list(HealthCheck), database=None
)
@given(first=FILES, second=FILES)
def test_any_configuration_becomes_any_other(rules: Rules, first: str, second: str) -> None:
    with transaction.atomic():
        for text in (first, second, first):
            rules.write(text).apply("--prune")
            assert rules.plan("--prune") == "No changes.\n"
            as_exported = exported()
            elsewhere_exported = _exported_elsewhere(rules, text)
            assert as_exported == elsewhere_exported
        transaction.set_rollback(True)


def _exported_elsewhere(rules: Rules, text: str) -> str:
    """Return what an empty server exports after the same file was applied to it."""
    with transaction.atomic():
        forget_everything()
        rules.write(text).apply()
        found = exported()
        transaction.set_rollback(True)
    return found
