"""What a preview tells the rules of the past: achievements that were completed together."""

from datetime import UTC, datetime, timedelta

from achievements.rules import AchievementRule, AchievementType
from engine.decide import UserState, decide
from engine.inputs import CompletedInput
from engine.outcomes import Accepted, Rejected
from engine.rules import Rules, compile_rules
from points.rules import SystemRule, TriggerRule
from users.rules import User, UserChanges

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
ALICE = UserChanges("alice")


def trigger(id_: str, points: int, order: int, achievement: str) -> TriggerRule:
    return TriggerRule(id_, "xp", "achievement", points, order, achievement_id=achievement)


def goal(id_: str) -> AchievementRule:
    """One that nobody could complete any more: it is locked."""
    return AchievementRule(id_, AchievementType.METRIC, 0, locked=True, metric_id="lessons")


def rules_of(*triggers: TriggerRule) -> Rules:
    return compile_rules(
        metrics=(),
        systems=[SystemRule("xp", "xp", "XP", 100)],
        achievements=[goal("a"), goal("b")],
        triggers=triggers,
    )


def alice(*, known: bool = True) -> UserState:
    return UserState(User("1", "alice", None, None, None, {}, None, True, None, False, NOON, NOON), known)


def paid(rules: Rules, state: UserState, given: CompletedInput) -> list[tuple[str | None, int]]:
    _, outcome = decide(rules, state, given, NOON + timedelta(hours=1), lambda: "id")
    assert isinstance(outcome, Accepted)
    return [(record.award.trigger_id, record.award.awarded) for record in outcome.awards]


def test_achievements_that_were_completed_together_pay_in_the_order_of_their_triggers() -> None:
    rules = rules_of(trigger("1", 10, 0, "b"), trigger("2", 20, 1, "a"), trigger("3", 30, 2, "b"))
    assert paid(rules, alice(), CompletedInput(ALICE, ("a", "b"))) == [("1", 10), ("2", 20), ("3", 30)]
    assert paid(rules, alice(), CompletedInput(ALICE, ("a",))) == [("2", 20)]
    assert paid(rules, alice(), CompletedInput(ALICE, ("archived since",))) == []


def test_an_achievement_is_completed_once() -> None:
    rules = rules_of(trigger("1", 10, 0, "a"))
    state, _ = decide(rules, alice(), CompletedInput(ALICE, ("a",)), NOON, lambda: "id")
    assert set(state.completions) == {"a"}
    assert paid(rules, state, CompletedInput(ALICE, ("a",))) == []


def test_nobody_is_made_known_by_what_is_recorded() -> None:
    given = CompletedInput(ALICE, ("a",))
    _, outcome = decide(rules_of(trigger("1", 10, 0, "a")), alice(known=False), given, NOON, lambda: "id")
    assert isinstance(outcome, Rejected)
