"""What is promised of the rules of the game, sentence by sentence: a case is a sentence and its steps.

A step sets something up (`trigger`, `goal`, `boost`, `level`, `streaks`), does something over the API (`event`,
`identify`, `complete`), lets time pass (`at`), or expects something of the last answer or of what is stored. It is
10 March 2026, a Tuesday, 9:00 UTC. Sentences that need threads are in test_parallel.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.utils import timezone

from access.models import ApiKey
from achievements.models import AchievementStatus, Completion
from achievements.services import activate_achievement, create_achievement, lock_achievement, update_achievement
from boosts.models import Boost, BoostStatus
from boosts.services import activate_boosts, create_boost, finish_boosts, update_boost
from core.models import Configuration
from core.services import archive, create_checked, restore, update_checked
from engine.backdate import look_back
from engine.tick import pay_due_ticks
from levels.models import Level
from metrics.models import Event, MetricTotal
from points.models import PointsAward, PointsBalance, PointsTrigger
from points.services import activate_triggers, deactivate_triggers, update_trigger
from streaks.models import Streak, StreakMetric, StreakPeriod, StreakSettings
from tests.conftest import Api, Game
from users.models import Attribute, EndUser

TUESDAY = "2026-03-10T09:00:00Z"
HISTORY = "/v1/users/alice/points/xp/event-summary?aggregation=daily"


@dataclass
class Scene:
    """The study app, the product's backend, the clock, and the answer to what was sent last."""

    game: Game
    api: Api
    clock: time_machine.Traveller
    answer: Any = None
    named: dict[str, Any] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return self.answer.json()

    def filters(self, plan: str | None, category: str | None) -> dict[str, Any]:
        return {
            "user_filters": [(self.game.plan, plan)] if plan else [],
            "event_filters": [(self.game.category, category)] if category else [],
        }


Step = Callable[[Scene], object]


@pytest.fixture
def scene(game: Game, api: Api) -> Iterator[Scene]:
    """The study app on a Tuesday in March."""
    with time_machine.travel(TUESDAY, tick=False) as clock:
        yield Scene(game, api, clock)


# --- Steps: setting up -----------------------------------------------------------------------------------------------
def trigger(
    points: int,
    every: int = 1,
    *,
    name: str = "trigger",
    system: str = "xp",
    metric: str = "lessons",
    plan: str | None = None,
    category: str | None = None,
    **fields: Any,
) -> Step:
    def step(scene: Scene) -> None:
        of = {"system": getattr(scene.game, system), "metric": getattr(scene.game, metric)}
        scene.named[name] = scene.game.trigger(points, every, **(of | scene.filters(plan, category) | fields))

    return step


def _other_trigger(type_: str, points: int, plan: str | None, goal: str = "", **fields: Any) -> Step:
    def step(scene: Scene) -> None:
        given = fields | ({"achievement": scene.named[goal]} if goal else {})
        filters = scene.filters(plan, None)
        scene.named["trigger"] = scene.game.trigger(
            points, type=type_, **({"metric": None, "metric_threshold": None} | filters | given)
        )

    return step


def streak_trigger(points: int, every: int = 1, plan: str | None = None) -> Step:
    return _other_trigger("streak", points, plan, streak_length=every)


def goal_trigger(points: int, goal: str, plan: str | None = None) -> Step:
    return _other_trigger("achievement", points, plan, goal)


def time_trigger(points: int, every: int = 1, unit: str = "hour", plan: str | None = None) -> Step:
    return _other_trigger("time", points, plan, time_unit=unit, time_interval=every)


def newcomer_trigger(points: int, plan: str | None = None) -> Step:
    return _other_trigger("user_creation", points, plan)


def switch_off(name: str = "trigger") -> Step:
    return lambda scene: deactivate_triggers(triggers=PointsTrigger.objects.filter(id=scene.named[name].id))


def switch_on(name: str = "trigger") -> Step:
    return lambda scene: activate_triggers(triggers=PointsTrigger.objects.filter(id=scene.named[name].id))


def edit_trigger(**fields: Any) -> Step:
    return lambda scene: update_trigger(trigger=scene.named["trigger"], **fields)


def goal(
    name: str,
    *,
    lessons: int | None = None,
    streak: int | None = None,
    api: bool = False,
    needs: str = "",
    plan: str | None = None,
    category: str | None = None,
    status: str = "active",
) -> Step:
    """Add an achievement: of a metric, of a streak, by API, or of others (named with spaces between)."""

    def step(scene: Scene) -> None:
        fields: dict[str, Any] = {"type": "achievement", "prerequisites": [scene.named[each] for each in needs.split()]}
        if lessons is not None:
            fields = {"type": "metric", "metric": scene.game.lessons, "metric_value": lessons}
        if streak is not None:
            fields = {"type": "streak", "streak_length": streak}
        if api:
            fields = {"type": "api", "key": name}
        filters = scene.filters(plan, category)
        scene.named[name] = create_achievement(name=name, status=status, **(filters | fields))

    return step


def goal_needs(name: str, needs: str) -> Step:
    return lambda scene: update_achievement(
        achievement=scene.named[name], prerequisites=[scene.named[each] for each in needs.split()]
    )


def goal_asks(name: str, lessons: int) -> Step:
    return lambda scene: update_achievement(achievement=scene.named[name], metric_value=lessons)


def activate_goal(name: str) -> Step:
    return lambda scene: activate_achievement(achievement=scene.named[name])


def lock_goal(name: str) -> Step:
    return lambda scene: lock_achievement(achievement=scene.named[name])


def hide_goal(name: str) -> Step:
    return lambda scene: update_achievement(achievement=scene.named[name], status=AchievementStatus.INACTIVE)


def the_task_looks_back(scene: Scene) -> None:
    while look_back():
        pass


def boost(
    multiplier: str,
    start: str = "2026-03-10",
    end: str | None = None,
    *,
    name: str = "boost",
    rounding: str = "down",
    plan: str | None = None,
    live: bool = True,
    user: str | None = None,
) -> Step:
    def step(scene: Scene) -> None:
        scene.named[name] = create_boost(
            system=scene.game.xp,
            name=name,
            start=date.fromisoformat(start),
            end=date.fromisoformat(end) if end else None,
            multiplier=Decimal(multiplier),
            rounding=rounding,
            external_id=user,
            status=BoostStatus.ACTIVE if live else BoostStatus.INACTIVE,
            user_filters=scene.filters(plan, None)["user_filters"],
        )

    return step


def activate_boost(scene: Scene) -> None:
    assert activate_boosts(boosts=Boost.objects.all()) == 1


def finish_boost(scene: Scene) -> None:
    assert finish_boosts(boosts=Boost.objects.all()) == 1


def edit_boost(**fields: Any) -> Step:
    return lambda scene: update_boost(boost=Boost.objects.get(), **fields)


def level(key: str, points: int) -> Step:
    def step(scene: Scene) -> None:
        scene.named[key] = create_checked(Level, system=scene.game.xp, name=key, key=key, points=points)

    return step


def move_level(key: str, points: int) -> Step:
    return lambda scene: update_checked(scene.named[key], points=points)


def streaks(frequency: str = "daily", *, all_needed: bool = False, **needed: int) -> Step:
    """Set what makes a streak: how much of which metrics in a period."""

    def step(scene: Scene) -> None:
        row = StreakSettings.objects.first() or create_checked(StreakSettings)
        update_checked(row, frequency=frequency, evaluation_mode="AND" if all_needed else "OR")
        StreakMetric.objects.all().delete()
        for metric, amount in needed.items():
            create_checked(StreakMetric, settings=row, metric=getattr(scene.game, metric), threshold=amount)

    return step


def maximum(points: int | None) -> Step:
    return lambda scene: update_checked(scene.game.xp, max_points=points)


def more_attributes(scene: Scene) -> None:
    """Set up a user attribute `team`."""
    scene.named["team"] = create_checked(Attribute, name="Team", key="team", type="user")


def archived(name: str) -> Step:
    return lambda scene: archive(row=_row(scene, name))


def restored(name: str) -> Step:
    return lambda scene: restore(row=_row(scene, name))


def _row(scene: Scene, name: str) -> Configuration:
    row: Configuration = scene.named.get(name) or getattr(scene.game, name)
    row.refresh_from_db()
    return row


# --- Steps: what happens ---------------------------------------------------------------------------------------------
def at(moment: str) -> Step:
    return lambda scene: scene.clock.move_to(f"{moment}Z", tick=False)


def event(
    value: Any = 1,
    *,
    user: str = "alice",
    metric: str = "lessons",
    key: str | None = None,
    category: str | None = None,
    tags: dict[str, str] | None = None,
    **fields: Any,
) -> Step:
    """Report an event; `fields` are the user's, `plan` short for that attribute."""
    given = tags or ({"category": category} if category else {})

    def step(scene: Scene) -> None:
        scene.answer = scene.api.event({"id": user} | _fields(fields), value, metric=metric, key=key, **given)

    return step


def written_value(text: str) -> Step:
    """Report an event whose value is this JSON text."""

    def step(scene: Scene) -> None:
        body = f'{{"user": {{"id": "alice"}}, "value": {text}}}'
        scene.answer = scene.api.send("POST", "/v1/metrics/lessons/event", body)

    return step


def _fields(fields: dict[str, Any]) -> dict[str, Any]:
    plan = {"attributes": {"plan": fields["plan"]}} if "plan" in fields else {}
    return {name: value for name, value in fields.items() if name != "plan"} | plan


def identify(method: str = "POST", user: str = "alice", **fields: Any) -> Step:
    def step(scene: Scene) -> None:
        path, body = f"/v1/users/{user}", _fields(fields)
        if method == "POST":
            path, body = "/v1/users", {"id": user} | body
        scene.answer = scene.api.send(method, path, body)

    return step


def complete(key: str, user: str = "alice", **fields: Any) -> Step:
    def step(scene: Scene) -> None:
        body = {"user": {"id": user} | _fields(fields)}
        scene.answer = scene.api.send("POST", f"/v1/achievements/{key}/complete", body)

    return step


def the_clock_pays(scene: Scene) -> None:
    pay_due_ticks(timezone.now())


def get(path: str) -> Step:
    def step(scene: Scene) -> None:
        scene.answer = scene.api.get(path)

    return step


# --- Steps: what is expected -----------------------------------------------------------------------------------------
def status(expected: int) -> Step:
    def step(scene: Scene) -> None:
        assert scene.answer.status_code == expected, scene.answer.content

    return step


def error(code: int, text: str) -> Step:
    def step(scene: Scene) -> None:
        assert (scene.answer.status_code, scene.json["error"]) == (code, text)

    return step


def field_is(name: str, expected: Any) -> Step:
    def step(scene: Scene) -> None:
        assert scene.json[name] == expected

    return step


def no_field(name: str) -> Step:
    def step(scene: Scene) -> None:
        assert name not in scene.json

    return step


def pays(*expected: int, system: str = "xp") -> Step:
    """Expect these awards in this order in the last answer, which accepted what was sent."""

    def step(scene: Scene) -> None:
        assert scene.answer.status_code == 201, scene.json
        points = scene.json["points"].get(system, {"awards": []})
        assert [award["awarded"] for award in points["awards"]] == list(expected)

    return step


def balance(expected: int, user: str = "alice", system: str = "xp") -> Step:
    def step(scene: Scene) -> None:
        assert scene.api.points(user, system)["total"] == expected

    return step


def level_read(expected: str | None) -> Step:
    def step(scene: Scene) -> None:
        found = scene.api.points("alice")["level"]
        assert (found and found["key"]) == expected

    return step


def level_changes_to(expected: str | None) -> Step:
    def step(scene: Scene) -> None:
        found = scene.json["points"]["xp"]["level"]
        assert (found and found["key"]) == expected

    return step


def level_stays(scene: Scene) -> None:
    assert "level" not in scene.json["points"].get("xp", {})


def streak(length: int, *, extended: bool | None = None, **fields: Any) -> Step:
    """Expect the streak in the last answer, which is that of an event or of a read."""

    def step(scene: Scene) -> None:
        found = scene.json.get("currentStreak", scene.json)
        assert found["length"] == length
        if extended is not None:
            assert found["extended"] == extended
        assert {name: found[name] for name in fields} == fields

    return step


def completes(*names: str) -> Step:
    def step(scene: Scene) -> None:
        assert [each["name"] for each in scene.json["achievements"]] == list(names)

    return step


def has(*names: str, user: str = "alice") -> Step:
    def step(scene: Scene) -> None:
        rows = scene.api.get(f"/v1/users/{user}/achievements").json()
        assert [each["name"] for each in rows] == list(names)

    return step


def shown(path: str, *names: str) -> Step:
    """Expect a list of things of these names."""

    def step(scene: Scene) -> None:
        assert [each["name"] for each in scene.api.get(path).json()] == list(names)

    return step


def boost_statuses(path: str, *statuses: str) -> Step:
    def step(scene: Scene) -> None:
        assert [each["status"] for each in scene.api.get(path).json()] == list(statuses)

    return step


def award_boost_statuses(*statuses: str) -> Step:
    """Expect the statuses of the boosts of alice's newest award."""

    def step(scene: Scene) -> None:
        assert [each["status"] for each in scene.api.points("alice")["awards"][0]["boosts"]] == list(statuses)

    return step


def summary(*users: int, greatest: int) -> Step:
    """Expect so many users in each range of XP, the rest of the ten being empty, and the last to end at `greatest`."""

    def step(scene: Scene) -> None:
        ranges = scene.api.get("/v1/points/xp/summary").json()
        width = greatest // 10
        bounds = [(0, 0), *((number * width + 1, (number + 1) * width) for number in range(10))]
        assert [(each["from"], each["to"]) for each in ranges] == bounds
        assert [each["users"] for each in ranges] == [*users, *([0] * (11 - len(users)))]

    return step


def levels_have(**users: int) -> Step:
    def step(scene: Scene) -> None:
        rows = scene.api.get("/v1/points/xp/level-summary").json()
        assert [(row["level"]["key"], row["users"]) for row in rows] == list(users.items())

    return step


def history(aggregation: str, start: str, end: str, *expected: tuple[str, int, int]) -> Step:
    """Expect (date, total, change) of each period of alice's XP."""

    def step(scene: Scene) -> None:
        query = f"aggregation={aggregation}&startDate={start}&endDate={end}"
        rows = scene.api.get(f"/v1/users/alice/points/xp/event-summary?{query}").json()
        assert [(row["date"], row["total"], row["change"]) for row in rows] == list(expected)

    return step


def nothing_stored(scene: Scene) -> None:
    for model in (EndUser, Event, MetricTotal, PointsAward, PointsBalance, Streak, StreakPeriod, Completion):
        assert not model.objects.exists()


def no_awards(scene: Scene) -> None:
    assert not PointsAward.objects.exists()


def refused(step: Step, text: str) -> Step:
    """Expect an operator's step to be refused with a message that contains the text."""

    def expectation(scene: Scene) -> None:
        with pytest.raises(ValidationError) as raised:
            step(scene)
        assert text in " ".join(raised.value.messages)

    return expectation


# --- The sentences ---------------------------------------------------------------------------------------------------
USERS = {
    "identified inline by an event": [event(name="Alice"), get("/v1/users/alice"), field_is("name", "Alice")],
    "identified by POST, PUT": [
        *(identify("POST", "alice"), status(201), identify("PUT", "bob"), status(200)),
        *(get("/v1/users/alice"), status(200), get("/v1/users/bob"), status(200)),
    ],
    "PATCH or GET of an unknown user: 404": [
        *(identify("PATCH", name="Alice"), error(404, "User not found: alice.")),
        *(get("/v1/users/alice"), error(404, "User not found: alice."), nothing_stored),
    ],
    "only the fields given change": [
        *(identify(name="Alice", tz="Europe/London", plan="pro"), event(tz="Asia/Tokyo"), get("/v1/users/alice")),
        *(field_is("name", "Alice"), field_is("tz", "Asia/Tokyo"), field_is("attributes", {"plan": "pro"})),
    ],
    "attributes merge by key and null removes one": [
        *(more_attributes, identify(attributes={"plan": "pro", "team": "red"}), identify(attributes={"team": "blue"})),
        field_is("attributes", {"plan": "pro", "team": "blue"}),
        *(identify("PATCH", plan=None), field_is("attributes", {"team": "blue"})),
    ],
    "the values of attributes are strings": [identify(plan=7), status(422), nothing_stored],
    "null clears tz, name, email": [
        identify(name="Alice", tz="Europe/London", email="alice@example.com"),
        *(identify(name=None, tz=None, email=None), status(201)),
        *(field_is("name", None), field_is("tz", None), field_is("email", None)),
    ],
    "POST of a known id updates and answers 201": [
        *(identify(name="Alice"), identify(name="Alicia"), status(201), field_is("name", "Alicia"))
    ],
    "an attribute key that was not set up first gives 422 and nothing is stored": [
        *(event(attributes={"pln": "pro"}), nothing_stored),
        error(422, "Invalid attribute keys: pln. Set them up as user attributes first."),
        *(event(tags={"ctgry": "math"}), status(422), nothing_stored),
    ],
    "tz must be an IANA name": [
        *(identify(tz="Mars/Phobos"), status(422), identify(tz="+02:00"), status(422), nothing_stored),
        *(identify(tz="Asia/Kolkata"), status(201)),
    ],
    "only an explicit subscribeToEmails true needs an email, given or stored": [
        *(identify(subscribeToEmails=True), status(422), nothing_stored),
        *(identify(subscribeToEmails=True, email="alice@example.com"), status(201)),
        *(identify("PATCH", subscribeToEmails=True), status(200)),
        *(identify(user="bob"), status(201), field_is("subscribeToEmails", True)),
    ],
    "subscribeToEmails false deletes the stored email": [
        *(identify(email="alice@example.com"), identify(subscribeToEmails=False), field_is("email", None))
    ],
}

EVENTS = {
    "value is a JSON number": [written_value('"1"'), status(422), written_value("null"), status(422), nothing_stored],
    "the value is below 10^15 in size": [
        *(written_value("999999999999999.999999999"), status(201), written_value("1e15"), status(422)),
        *(written_value("-1e15"), status(422)),
    ],
    "negative and decimal too": [event(2.5), event(-4), field_is("total", -1.5)],
    "kept to 9 places, not through a float: ten events of 0.1 make 1": [
        *(trigger(10), *[event(0.1)] * 9, pays(), event(0.1), pays(10), field_is("total", 1)),
    ],
    "an unknown metric key: 404": [event(metric="steps"), error(404, "Metric not found: steps."), nothing_stored],
    "a key is scoped to user and metric": [
        *(event(key="one"), status(201), event(key="one", user="bob"), status(201)),
        *(event(key="one", metric="flashcards"), status(201), event(key="one"), status(202)),
    ],
    "a replay changes nothing, whatever it says of the user": [
        *(trigger(10), goal("two", lessons=2), event(key="one", name="Alice")),
        *(event(key="one", name="Alicia", attributes={"pln": "x"}), status(202), balance(10), has()),
        *(get("/v1/users/alice"), field_is("name", "Alice")),
    ],
    "a key is refused for an event with another value or other event attributes": [
        *(trigger(10), event(key="one", category="math")),
        *(event(5, key="one", category="math"), status(422), field_is("code", "idempotency_key_reused")),
        *(event(key="one", category="art"), status(422), field_is("code", "idempotency_key_reused")),
        *(event(key="one", category="math"), status(202), balance(10)),
    ],
    "a replay answers with the current total and streak and nothing else": [
        *(trigger(10), goal("one", lessons=1), event(key="one"), pays(10), completes("one")),
        *(at("2026-03-11T09:00"), event(4), event(key="one"), status(202), field_is("total", 5)),
        *(streak(2, extended=False), completes(), field_is("points", {}), field_is("leaderboards", {})),
        field_is("idempotentReplayed", True),
    ],
    "a rejected event does not use its key up": [
        *(event(key="one", attributes={"pln": "x"}), status(422), event(key="one"), status(201)),
        field_is("idempotentReplayed", False),
    ],
    "idempotencyKey and idempotentReplayed appear only when a key was sent": [
        *(event(), no_field("idempotencyKey"), no_field("idempotentReplayed")),
        *(event(key="one"), field_is("idempotencyKey", "one"), field_is("idempotentReplayed", False)),
    ],
    "a key has 1 to 255 characters": [
        *(event(key=""), status(422), event(key="k" * 256), status(422), nothing_stored),
        *(event(key="k" * 255), status(201)),
    ],
}

TRIGGERS = {
    "once for every multiple that the peak crosses, in one row of points x times": [
        *(trigger(10, every=3), event(2), pays(), event(2), pays(10), event(9), pays(30), balance(40)),
    ],
    "a drop takes nothing back and climbing again pays nothing twice": [
        *(
            trigger(10, every=2),
            event(5),
            pays(20),
            event(-5),
            pays(),
            balance(20),
            event(5),
            pays(),
            event(1),
            pays(10),
        ),
    ],
    "with event-attribute filters the total is that of matching events only": [
        *(trigger(10, every=3, category="math"), event(9), pays(), event(2, category="math"), pays()),
        *(event(9, category="art"), pays(), event(1, category="math"), pays(10)),
    ],
    "a crossing counts only if the trigger is active, and is never paid later": [
        *(trigger(10, every=5), switch_off(), event(6), pays(), switch_on(), event(1), pays(), event(3), pays(10)),
    ],
    "a crossing counts only if the user filters match in the event that crosses": [
        *(trigger(10, every=5, plan="pro"), event(6), pays(), event(3, plan="pro"), pays()),
        *(event(1), pays(10), event(5, plan="free"), pays(), event(1, plan="pro"), pays()),
    ],
    "streak triggers fire when the length reaches a multiple of N": [
        *(streak_trigger(10, every=2), event(), pays(), at("2026-03-11T09:00"), event(), pays(10), event(), pays()),
        *(at("2026-03-12T09:00"), event(), pays(), at("2026-03-13T09:00"), event(), pays(10)),
        *(at("2026-03-15T09:00"), event(), pays(), at("2026-03-16T09:00"), event(), pays(10)),
    ],
    "achievement triggers fire when that achievement is completed": [
        *(goal("five", lessons=5), goal("six", lessons=6), goal_trigger(50, "five")),
        *(event(4), pays(), event(1), pays(50), event(1), pays(), event(9), pays()),
    ],
    "user-creation triggers fire when first identified by an event": [
        newcomer_trigger(5),
        event(),
        pays(5),
        event(),
        pays(),
    ],
    "user-creation triggers fire when first identified by POST": [
        newcomer_trigger(5),
        identify(),
        balance(5),
        event(),
        pays(),
    ],
    "user-creation triggers fire when first identified by PUT": [
        *(newcomer_trigger(5), identify("PUT"), balance(5), event(), pays())
    ],
    "user-creation triggers fire when first identified by a completion": [
        *(newcomer_trigger(5), goal("shared", api=True), goal_trigger(7, "shared")),
        *(complete("shared"), pays(5, 7), event(), pays()),
    ],
    "user filters look at the attributes as they are after this event": [
        *(trigger(10, plan="pro"), streak_trigger(3, plan="pro"), newcomer_trigger(1, plan="pro")),
        *(event(plan="pro"), pays(1, 10, 3), event(plan=None), pays(), event(plan="pro"), pays(10)),
    ],
    "all of a user filter must match": [
        more_attributes,
        lambda scene: scene.game.trigger(
            points=10, user_filters=[(scene.game.plan, "pro"), (scene.named["team"], "red")]
        ),
        *(event(plan="pro"), pays(), event(attributes={"team": "blue"}), pays()),
        *(event(attributes={"team": "red"}), pays(10)),
    ],
    "user filters on a boost and on an achievement look at them so too": [
        *(trigger(10), boost("2", plan="pro"), goal("two", lessons=2, plan="pro")),
        *(event(3), pays(30), completes(), event(0, plan="pro"), completes("two"), event(), pays(20)),
        *(event(plan="free"), pays(10)),
    ],
}

POINTS = {
    "order: user creation, metric, streak, achievement, whatever was made first": [
        *(goal("one", lessons=1), goal_trigger(4, "one"), streak_trigger(3), trigger(2), newcomer_trigger(1)),
        *(event(), pays(1, 2, 3, 4)),
    ],
    "within each by creation": [
        *(goal("b", streak=1), goal("a", lessons=1), goal_trigger(1, "a"), goal_trigger(2, "b"), goal_trigger(3, "a")),
        *(event(), pays(1, 2, 3)),
    ],
    "an award becomes min(a, max(0, maxPoints - total))": [
        *(maximum(25), trigger(10), event(2), pays(20), event(), pays(5), event(), pays(), balance(25)),
    ],
    "a deduction becomes max(a, -total)": [
        *(newcomer_trigger(5), trigger(-4), event(), pays(5, -4), event(), pays(-1), event(), pays(), balance(0)),
    ],
    "a lowered maximum takes nothing from who is above it": [
        *(trigger(10), event(3), maximum(5), event(), pays(), balance(30)),
    ],
    "what rounds to 0 leaves no row, and the crossing is used up": [
        *(boost("0.5", end="2026-03-10"), trigger(1), event(), pays(), no_awards),
        *(at("2026-03-12T09:00"), event(0), pays(), event(), pays(1)),
    ],
    "what clamps to 0 leaves no row, and the crossing is used up": [
        *(trigger(-5), event(), pays(), no_awards, newcomer_trigger(9), identify(user="bob"), event(0), pays()),
    ],
    "blockIfOutOfPoints is accepted on metric triggers with negative points": [
        trigger(-1, block_if_out_of_points=True),
        refused(trigger(1, block_if_out_of_points=True), "is possible only for a metric trigger with negative points."),
        refused(
            _other_trigger("streak", -1, None, streak_length=1, block_if_out_of_points=True),
            "is possible only for a metric trigger with negative points.",
        ),
    ],
    "short of the whole need the event is rejected and nothing at all is stored": [
        *(trigger(5), trigger(-6, block_if_out_of_points=True), goal("one", lessons=1), streak_trigger(9)),
        *(event(3, name="Alice"), nothing_stored, field_is("code", "out_of_points")),
        error(422, "Not enough points in xp: the event needs 18 and the user has 15."),
    ],
    "the balance is that after the awards before it, at its turn": [
        *(newcomer_trigger(6), trigger(-6, block_if_out_of_points=True), streak_trigger(9)),
        *(event(), pays(6, -6, 9), event(), pays(-6), event(), status(422), balance(3)),
    ],
    "it blocks only if its filters match": [
        *(trigger(-6, plan="free", category="math", block_if_out_of_points=True), event(plan="free"), status(201)),
        *(event(category="math", plan="pro"), status(201), event(category="math", plan="free"), status(422)),
    ],
}

BOOSTS = {
    "multiply awards, never deductions": [
        *(boost("2"), trigger(10), trigger(-3), event(), pays(20, -3)),
    ],
    "of every cause": [
        *(
            boost("3"),
            goal("one", lessons=1),
            goal_trigger(4, "one"),
            streak_trigger(3),
            trigger(2),
            newcomer_trigger(1),
        ),
        *(event(), pays(3, 6, 9, 12)),
    ],
    "from start through the whole of end by the user's own calendar": [
        *(boost("2", "2026-03-11", "2026-03-12"), trigger(10), at("2026-03-10T09:59"), event(tz="Pacific/Kiritimati")),
        *(pays(10), at("2026-03-10T10:00"), event(), pays(20), at("2026-03-12T09:59"), event(), pays(20)),
        *(at("2026-03-12T10:00"), event(), pays(10)),
    ],
    "else by UTC": [
        *(boost("2", "2026-03-11", "2026-03-11"), trigger(10), at("2026-03-10T23:59"), event(), pays(10)),
        *(at("2026-03-11T00:00"), event(), pays(20), at("2026-03-12T00:00"), event(), pays(10)),
    ],
    "those that apply stack by multiplication and the exact product is rounded once": [
        *(boost("1.5"), boost("1.5", rounding="down"), trigger(3), event(), pays(6)),
    ],
    "the strictest rounding wins: down": [
        *(boost("1.5", rounding="up"), boost("1.01", rounding="nearest"), boost("1.3", rounding="down")),
        *(trigger(1), event(), pays(1)),
    ],
    "the strictest rounding wins: nearest, half up": [
        *(boost("0.5", rounding="up"), boost("0.5", rounding="nearest"), trigger(2), event(), pays(1)),
        *(trigger(1), event(), pays(1)),
    ],
    "the strictest rounding wins: up": [boost("1.0001", rounding="up"), trigger(3), event(), pays(4)],
    "a multiplier is > 0, not 1, < 100, to 4 decimals": [
        *(refused(boost(each), "") for each in ("0", "1", "1.0000", "100", "-2", "1.00001")),
        *(boost("0.0001"), boost("99.9999")),
    ],
    "a boost begins inactive and is activated": [
        *(boost("2", live=False), trigger(10), event(), pays(10), activate_boost, event(), pays(20)),
    ],
    "status: scheduled until its first day has begun somewhere on Earth": [
        *(
            boost("2", "2026-03-12", "2026-03-13"),
            at("2026-03-11T09:59"),
            boost_statuses("/v1/points/xp/boosts", "scheduled"),
        ),
        *(at("2026-03-11T10:00"), boost_statuses("/v1/points/xp/boosts", "active")),
    ],
    "status: finished when its last day has ended everywhere": [
        *(
            boost("2", "2026-03-12", "2026-03-13"),
            at("2026-03-14T11:59"),
            boost_statuses("/v1/points/xp/boosts", "active"),
        ),
        *(at("2026-03-14T12:00"), boost_statuses("/v1/points/xp/boosts")),
        boost_statuses("/v1/points/xp/boosts?includeFinished=true", "finished"),
    ],
    "status: for one user's boost in that user's zone": [
        *(boost("2", "2026-03-12", "2026-03-12", user="alice"), identify(tz="Pacific/Kiritimati")),
        *(at("2026-03-11T09:59"), boost_statuses("/v1/users/alice/points/xp/boosts", "scheduled")),
        *(at("2026-03-12T09:59"), boost_statuses("/v1/users/alice/points/xp/boosts", "active")),
        *(at("2026-03-12T10:00"), boost_statuses("/v1/users/alice/points/xp/boosts")),
    ],
    "finish now stops it at once and is final": [
        *(boost("2"), trigger(10), event(), pays(20), finish_boost, event(), pays(10)),
        lambda scene: activate_boosts(boosts=Boost.objects.all()),
        *(event(), pays(10), boost_statuses("/v1/points/xp/boosts?includeFinished=true", "finished")),
    ],
    "a finished boost cannot be edited": [
        *(boost("2"), finish_boost, refused(edit_boost(multiplier=Decimal(3)), "finished")),
    ],
    "one whose last day is over cannot be edited either": [
        *(boost("2", end="2026-03-11"), at("2026-03-12T12:00"), refused(edit_boost(end=None), "finished")),
    ],
    "inactive and archived boosts are not in the API": [
        *(boost("2", live=False), boost_statuses("/v1/points/xp/boosts?includeFinished=true"), activate_boost),
        *(boost_statuses("/v1/points/xp/boosts", "active"), archived("boost")),
        boost_statuses("/v1/points/xp/boosts?includeFinished=true"),
    ],
    "inside old awards they show as finished": [
        *(boost("2"), trigger(10), event(), award_boost_statuses("active"), archived("boost")),
        *(award_boost_statuses("finished"), event(), pays(10)),
    ],
    "one user's boost may name a user not seen yet": [
        *(boost("2", user="alice"), trigger(10), event(user="bob"), pays(10), event(), pays(20)),
    ],
}

LEVELS = {
    "the highest whose threshold is <= the total": [
        *(level("gold", 30), level("bronze", 10), level("silver", 20), trigger(10)),
        *(event(), level_changes_to("bronze"), event(), level_changes_to("silver"), level_read("silver")),
        *(event(5), level_changes_to("gold"), level_read("gold")),
    ],
    "thresholds are unique in a system": [
        *(level("one", 10), refused(level("two", 10), "Points already in use by another level of this points system.")),
        lambda scene: create_checked(Level, system=scene.game.energy, name="one", key="one", points=10),
    ],
    "a known user without awards has the 0-threshold level in reads": [
        *(level("novice", 0), level("pro", 10), identify(), level_read("novice")),
    ],
    "the first award is still reported once as a change from null": [
        *(level("novice", 0), level("pro", 100), trigger(5), identify(), event(), level_changes_to("novice")),
        *(event(), level_stays),
    ],
    "level is in an event's answer only when it changed": [
        *(level("bronze", 10), trigger(10), event(), level_changes_to("bronze"), event(), level_stays),
        *(event(0), level_stays),
    ],
    "null when the user fell below all": [
        *(level("bronze", 10), trigger(10), trigger(-5, metric="flashcards"), event(), level_changes_to("bronze")),
        *(event(metric="flashcards"), level_changes_to(None), level_read(None)),
    ],
    "a jump over several levels is one change": [
        *(level("one", 10), level("two", 20), level("three", 30), trigger(10), event(3), level_changes_to("three")),
    ],
    "up and down in one event is no change": [
        *(level("zero", 0), level("ten", 10), trigger(5), trigger(9, metric="flashcards"), event()),
        *(trigger(-9, metric="flashcards"), event(metric="flashcards"), pays(9, -9), level_stays),
    ],
    "editing levels reports no change": [
        *(level("bronze", 20), trigger(10), event(), move_level("bronze", 10), level_read("bronze")),
        *(event(), level_stays, move_level("bronze", 500), level_read(None), event(), level_stays),
    ],
}

STREAKS = {
    "daily by default": [
        event(),
        streak(
            *(1,),
            frequency="daily",
            extended=True,
            started="2026-03-10",
            periodStart="2026-03-10",
            periodEnd="2026-03-10",
            expires="2026-03-11",
        ),
        *(event(), streak(1, extended=False), at("2026-03-11T23:59"), event(), streak(2, extended=True)),
        *(at("2026-03-13T00:00"), event(), streak(1, extended=True, started="2026-03-13")),
    ],
    "weekly, Monday to Sunday": [
        *(streaks("weekly"), event()),
        streak(1, frequency="weekly", periodStart="2026-03-09", periodEnd="2026-03-15", expires="2026-03-22"),
        *(at("2026-03-15T23:59"), event(), streak(1, extended=False)),
        *(at("2026-03-16T00:00"), event(), streak(2, extended=True, started="2026-03-10")),
        *(at("2026-03-30T00:00"), event(), streak(1)),
    ],
    "monthly by the calendar": [
        *(streaks("monthly"), event()),
        streak(1, frequency="monthly", periodStart="2026-03-01", periodEnd="2026-03-31", expires="2026-04-30"),
        *(at("2026-04-30T23:59"), event(), streak(2), at("2026-06-01T00:00"), event(), streak(1)),
    ],
    "by the user's calendar": [
        *(event(tz="Pacific/Kiritimati"), streak(1, started="2026-03-10"), at("2026-03-10T10:00"), event()),
        streak(2, periodStart="2026-03-11"),
    ],
    "which metrics count and from which amount in a period": [
        *(streaks(lessons=3), event(9, metric="flashcards"), streak(0), event(2), streak(0, extended=False)),
        *(event(1), streak(1, extended=True), at("2026-03-11T09:00"), event(2), streak(1), at("2026-03-12T00:00")),
        *(event(1), streak(0)),
    ],
    "OR: any of the metrics is enough": [
        *(streaks(lessons=3, flashcards=5), event(2), streak(0), event(5, metric="flashcards"), streak(1)),
    ],
    "ALL: all of the metrics are needed": [
        *(streaks(all_needed=True, lessons=3, flashcards=5), event(3), streak(0)),
        *(event(4, metric="flashcards"), streak(0), event(1, metric="flashcards"), streak(1, extended=True)),
    ],
    "with no metric set, any event of any metric with value > 0 counts": [
        *(event(0), streak(0), event(-1), streak(0), event(0.1, metric="flashcards"), streak(1)),
    ],
    "an event earlier than the last counted period counts in that one": [
        *(event(tz="Pacific/Kiritimati"), at("2026-03-10T10:30"), event(), streak(2, periodStart="2026-03-11")),
        *(event(tz="Pacific/Pago_Pago"), streak(2, extended=False, periodStart="2026-03-11")),
        *(at("2026-03-12T10:59"), event(), streak(2), at("2026-03-12T11:00"), event(), streak(3)),
    ],
    "moving never breaks a streak: on its last day to where the next has begun": [
        *(event(tz="Pacific/Pago_Pago"), streak(1, periodStart="2026-03-09"), at("2026-03-11T10:30")),
        *(event(tz="Pacific/Kiritimati"), streak(2, extended=True, periodStart="2026-03-12")),
    ],
    "a period once extended is not taken back": [
        *(streaks(lessons=3), event(3), streak(1), event(-3), streak(1), streaks(lessons=50), event(), streak(1)),
        *(get("/v1/users/alice/streak"), streak(1)),
    ],
    "a change of frequency starts streaks anew at the next event": [
        *(event(), at("2026-03-11T09:00"), event(), streak(2), streaks("weekly")),
        *(get("/v1/users/alice/streak"), streak(2, frequency="daily")),
        *(event(), streak(1, extended=True, frequency="weekly", started="2026-03-11")),
    ],
    "other changes hold from the current period": [
        *(streaks(lessons=5), event(3), streak(0), streaks(lessons=4), event(1), streak(1)),
        *(at("2026-03-11T09:00"), streaks(flashcards=1), event(9), streak(1), event(metric="flashcards"), streak(2)),
    ],
    "expires is the last day of the next period": [
        *(at("2028-01-31T09:00"), streaks("monthly"), event(), streak(1, expires="2028-02-29")),
    ],
    "before any streak: length 0, nulls, the configured frequency": [
        *(streaks("weekly"), identify(), get("/v1/users/alice/streak")),
        streak(0, frequency="weekly", started=None, periodStart=None, periodEnd=None, expires=None, extended=None),
        *(event(0), streak(0, frequency="weekly", started=None, periodStart=None, periodEnd=None, expires=None)),
    ],
}

ACHIEVEMENTS = {
    "metric: total reaches value": [goal("five", lessons=5), event(4.5), completes(), event(0.5), completes("five")],
    "streak: length reaches N": [
        *(goal("two", streak=2), event(), completes(), at("2026-03-11T09:00"), event(), completes("two")),
    ],
    "api": [goal("shared", api=True), event(), completes(), complete("shared"), status(201), has("shared")],
    "composite: all prerequisites done": [
        *(goal("one", lessons=1), goal("two", lessons=2), goal("both", needs="one two")),
        *(event(), completes("one"), event(), completes("two", "both")),
    ],
    "composite: an api one may be the last that it waits for": [
        *(goal("one", lessons=1), goal("shared", api=True), goal("both", needs="one shared"), event()),
        *(complete("shared"), status(201), has("one", "shared", "both")),
    ],
    "a cycle is refused": [
        *(goal("a", lessons=1), goal("b", needs="a"), goal("c", needs="b")),
        refused(goal_needs("b", "c"), "would go round in a circle: «b» needs «c» needs «b»."),
        refused(goal_needs("c", "c"), "would go round in a circle: «c» needs «c»."),
    ],
    "inactive: not shown, not completable": [
        *(goal("one", lessons=1, status="inactive"), goal("shared", api=True, status="inactive"), event(), completes()),
        *(complete("shared"), error(404, "Achievement not found: shared."), shown("/v1/achievements")),
        shown("/v1/users/alice/achievements?includeIncomplete=true"),
    ],
    "locked: shown to and kept by who has it, not completable": [
        *(goal("one", lessons=1), goal("shared", api=True), event(), complete("shared"), has("one", "shared")),
        *(lock_goal("one"), lock_goal("shared"), has("one", "shared"), event(user="bob"), completes()),
        *(complete("shared", user="bob"), status(422), has(user="bob")),
        shown("/v1/users/bob/achievements?includeIncomplete=true"),
    ],
    "inactive to active to locked and back, no other way": [
        *(goal("one", lessons=1, status="inactive"), refused(lock_goal("one"), "inactive"), activate_goal("one")),
        *(refused(hide_goal("one"), "active"), lock_goal("one"), refused(hide_goal("one"), "locked")),
        activate_goal("one"),
    ],
    "an event completes every active one whose condition holds and whose filters match": [
        *(goal("all", lessons=2), goal("pro", lessons=2, plan="pro"), goal("math", lessons=2, category="math")),
        *(event(1, category="math"), completes(), event(1), completes("all"), event(0, plan="pro"), completes("pro")),
        *(event(1, category="art"), completes(), event(1, category="math"), completes("math")),
    ],
    "an event of another metric completes what only waited for the user's attributes": [
        *(goal("pro", lessons=2, plan="pro"), event(2), completes()),
        *(event(metric="flashcards", plan="pro"), completes("pro")),
    ],
    "each is completed once": [
        *(goal("one", lessons=1), goal_trigger(9, "one"), event(), completes("one"), event(-1), event(1), completes()),
        balance(9),
    ],
    "a second complete call answers as the first, with no points": [
        *(goal("shared", api=True), goal_trigger(9, "shared"), complete("shared"), pays(9)),
        lambda scene: scene.named.update(first=scene.json),
        *(at("2026-03-11T09:00"), complete("shared", name="Alice"), status(201), field_is("points", {})),
        lambda scene: [field_is(name, scene.named["first"][name])(scene) for name in ("completionId", "achievement")],
    ],
    "activation backdates: who qualified already gets it with ordinary awards": [
        *(goal("two", lessons=2, status="inactive"), goal_trigger(9, "two"), event(2), event(user="bob")),
        *(activate_goal("two"), the_task_looks_back, has("two"), has(user="bob"), balance(9)),
        *(event(), completes(), pays()),
    ],
    "an active one that asks for less: who has that already gets it, whatever event would come next": [
        *(goal("much", lessons=4), goal_trigger(9, "much"), event(2), completes(), goal_asks("much", 2)),
        *(the_task_looks_back, has("much"), balance(9), event(metric="flashcards"), completes()),
    ],
}

TIME = {
    "every N hours counted from the moment of activation": [
        *(identify(), time_trigger(5, 2), at("2026-03-10T10:59:59"), the_clock_pays, balance(0)),
        *(
            at("2026-03-10T11:00:00"),
            the_clock_pays,
            balance(5),
            at("2026-03-10T13:00:00"),
            the_clock_pays,
            balance(10),
        ),
    ],
    "every N days of 24 h": [
        *(identify(tz="Europe/London"), time_trigger(5, 20, "day"), at("2026-03-30T08:59:59"), the_clock_pays),
        *(balance(0), at("2026-03-30T09:00:00"), the_clock_pays, balance(5)),
    ],
    "any change of the interval starts the count anew": [
        *(identify(), time_trigger(5), at("2026-03-10T09:30:00"), edit_trigger(time_interval=2)),
        *(at("2026-03-10T11:29:59"), the_clock_pays, balance(0), at("2026-03-10T11:30:00"), the_clock_pays, balance(5)),
    ],
    "activation starts the count anew": [
        *(identify(), time_trigger(5), switch_off(), at("2026-03-10T09:30:00"), switch_on()),
        *(at("2026-03-10T10:29:59"), the_clock_pays, balance(0), at("2026-03-10T10:30:00"), the_clock_pays, balance(5)),
    ],
    "a tick pays every user created before its due instant": [
        *(identify(), time_trigger(5), at("2026-03-10T10:00:00"), identify(user="bob"), the_clock_pays),
        *(balance(5), balance(0, "bob")),
    ],
    "whose attributes match now": [
        *(identify(plan="free"), identify(user="bob", plan="pro"), time_trigger(5, plan="pro")),
        *(at("2026-03-10T10:00:00"), identify(plan="pro"), identify(user="bob", plan="free"), the_clock_pays),
        *(balance(5), balance(0, "bob")),
    ],
    "with the boosts of the due instant": [
        *(identify(), time_trigger(5, 8), boost("2", "2026-03-10", "2026-03-10")),
        *(at("2026-03-11T08:00:00"), the_clock_pays, balance(10 + 5)),
    ],
    "exactly once, also where it was clamped to nothing": [
        *(identify(), time_trigger(5), maximum(5), at("2026-03-10T11:00:00"), the_clock_pays, balance(5)),
        *(maximum(None), the_clock_pays, balance(5)),
    ],
    "after downtime the newest 24 missed ticks are paid": [
        *(identify(), time_trigger(5), at("2026-03-12T09:00:00"), the_clock_pays, balance(24 * 5)),
    ],
}

AGGREGATES = {
    "11 ranges, 0-0 then ten equal ones to the greatest total rounded up to a power of 10": [
        *(trigger(1), event(40), event(7, user="bob"), event(100, user="charlie")),
        summary(0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, greatest=100),
    ],
    "the greatest is at least 10": [trigger(1), event(2), summary(0, 0, 1, greatest=10)],
    "a user without an award counts as 0": [identify(), event(user="bob"), summary(2, greatest=10)],
    "level-summary has every level in order with its users": [
        *(trigger(1), level("high", 10), level("none", 20), level("low", 0), event(10), identify(user="bob")),
        levels_have(low=1, high=1, none=0),
    ],
    "level-summary: 422 when none is configured": [get("/v1/points/xp/level-summary"), status(422)],
    "event-summary has every period that touches start..end, also empty ones": [
        *(trigger(1), event(3), at("2026-03-12T09:00:00"), event(2)),
        history(
            *("daily", "2026-03-09", "2026-03-12"),
            *(("2026-03-09", 0, 0), ("2026-03-10", 3, 3), ("2026-03-11", 3, 0), ("2026-03-12", 5, 2)),
        ),
    ],
    "a period is dated by its first day, its total is at its end": [
        *(trigger(1), event(3), at("2026-03-18T09:00:00"), event(2)),
        history("weekly", "2026-03-11", "2026-03-16", ("2026-03-09", 3, 3), ("2026-03-16", 5, 2)),
        history("monthly", "2026-02-28", "2026-03-01", ("2026-02-01", 0, 0), ("2026-03-01", 5, 5)),
    ],
    "start <= end, at most 400 days": [
        *(identify(), get(f"{HISTORY}&startDate=2026-03-11&endDate=2026-03-10"), status(422)),
        *(get(f"{HISTORY}&startDate=2025-01-01&endDate=2026-03-10"), status(422)),
    ],
    "an award belongs to the user's local date when it was made": [
        *(trigger(1), at("2026-03-10T11:00:00"), event(tz="Pacific/Kiritimati"), identify(tz="Pacific/Pago_Pago")),
        history("daily", "2026-03-10", "2026-03-11", ("2026-03-10", 0, 0), ("2026-03-11", 1, 1)),
    ],
}

DELETING = {
    "deleting archives; what was awarded stays": [
        *(trigger(10), event(), archived("trigger"), event(), pays(), balance(10)),
    ],
    "the admin can restore": [
        *(
            level("ten", 10),
            trigger(10),
            event(),
            archived("ten"),
            level_read(None),
            restored("ten"),
            level_read("ten"),
        ),
    ],
    "a metric that something active uses cannot be archived, and the message names its users": [
        *(
            trigger(10),
            goal("five", lessons=5),
            refused(archived("lessons"), "five"),
            refused(archived("lessons"), "+10"),
        ),
        *(streaks(flashcards=1), refused(archived("flashcards"), "the streak settings")),
    ],
    "an attribute that something active uses cannot be archived": [
        *(boost("2", plan="pro", name="Pros"), refused(archived("plan"), "Pros")),
        *(goal("math", lessons=1, category="math"), refused(archived("category"), "math")),
    ],
    "an achievement that something active uses cannot be archived": [
        *(goal("a", lessons=1), goal("b", needs="a"), goal_trigger(5, "b")),
        *(refused(archived("a"), "it is used by b"), refused(archived("b"), "Achievement: b")),
        *(archived("trigger"), archived("b"), archived("a"), event(), completes()),
    ],
    "editing a trigger changes what comes, never what was": [
        *(trigger(10), event(), pays(10), edit_trigger(points=3), event(), pays(3), balance(13)),
    ],
}

ERRORS = {
    "400 for an unreadable body": [written_value("{"), status(400), nothing_stored],
    "401 for no key or a bad one": [lambda scene: ApiKey.objects.all().delete(), event(), status(401)],
    "404 with one clear sentence": [
        *(get("/v1/points/gold/levels"), error(404, "Points system not found: gold.")),
        *(complete("nothing"), error(404, "Achievement not found: nothing."), nothing_stored),
    ],
    "405 for another method": [identify("DELETE"), status(405)],
    "what is not offered answers 404 and says so": [
        *(get("/v1/users/alice/wrapped"), error(404, "Wrapped is not offered by Pointsmith.")),
    ],
}

SECTIONS = {
    "users": USERS,
    "events": EVENTS,
    "triggers": TRIGGERS,
    "points": POINTS,
    "boosts": BOOSTS,
    "levels": LEVELS,
    "streaks": STREAKS,
    "achievements": ACHIEVEMENTS,
    "time": TIME,
    "aggregates": AGGREGATES,
    "deleting": DELETING,
    "errors": ERRORS,
}


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(steps, id=f"{section}: {sentence}")
        for section, sentences in SECTIONS.items()
        for sentence, steps in sentences.items()
    ],
)
def test_rule(scene: Scene, steps: list[Step]) -> None:
    for step in steps:
        step(scene)
