"""Laws of explanations: the steps always end in the award, or there are none."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from achievements.rules import AchievementRule, AchievementType
from boosts.rules import BoostRule
from engine.decide import UserState, decide
from engine.inputs import AdjustInput, EventInput, IdentifyInput, Input
from engine.outcomes import Accepted, AwardRecord
from engine.rules import Rules, compile_rules
from metrics.rules import NO_FILTER, MetricRule, Total, canonical_filter
from points.explanation import Basis, Facts, Limit, Sum, crossing_of, explain
from points.rules import Adjustment, Rounding, SystemRule, TriggerRule
from tests.test_rule_laws import NOON, applied, multipliers, numbers, person, roundings
from users.rules import UserChanges

LISTENING = {"category": "listening"}


@st.composite
def trigger_rules(draw: st.DrawFn) -> list[TriggerRule]:
    """Triggers of every type that an input fires, on two systems."""
    rules = []
    for number in range(draw(st.integers(1, 5))):
        cause = draw(st.sampled_from(["metric", "metric", "metric", "streak", "achievement", "user_creation"]))
        of: dict[str, dict[str, Any]] = {
            "metric": {
                "metric_id": "lessons",
                "threshold": draw(st.integers(1, 7)),
                "event_filter": draw(st.sampled_from([NO_FILTER, canonical_filter(LISTENING)])),
            },
            "streak": {"streak_length": draw(st.integers(1, 2))},
            "achievement": {"achievement_id": "goal"},
            "user_creation": {},
        }
        points, system = draw(st.integers(-60, 90).filter(bool)), draw(st.sampled_from(["xp", "energy"]))
        rules.append(TriggerRule(str(number), system, cause, points, number, **of[cause]))
    return rules


boost_rules = st.lists(
    st.builds(
        lambda multiplier, rounding, system, number: BoostRule(
            applied(multiplier, rounding, str(number)), system, number, activated=NOON - timedelta(days=1)
        ),
        multipliers,
        roundings,
        st.sampled_from(["xp", "energy"]),
        st.integers(0, 9),
    ),
    max_size=3,
)
inputs: st.SearchStrategy[Input] = st.one_of(
    st.builds(
        EventInput,
        user=st.just(UserChanges("alice")),
        metric_key=st.just("lessons"),
        value=st.decimals(min_value=-4, max_value=30, places=2),
        attributes=st.sampled_from([{}, LISTENING]),
    ),
    st.just(IdentifyInput(UserChanges("alice"))),
    st.builds(
        lambda points, system: AdjustInput(UserChanges("alice"), system, Adjustment(points, "Sorry", "maria")),
        st.integers(-80, 80).filter(bool),
        st.sampled_from(["xp", "energy"]),
    ),
)


def rules_of(triggers: list[TriggerRule], boosts: list[BoostRule], maximum: int | None) -> Rules:
    goal = AchievementRule("goal", AchievementType.METRIC, 0, metric_id="lessons", metric_value=Decimal(5))
    return compile_rules(
        metrics=[MetricRule("lessons", "lessons", "Lessons")],
        systems=[SystemRule("xp", "xp", "XP", None), SystemRule("energy", "energy", "Energy", maximum)],
        triggers=triggers,
        achievements=[goal],
        boosts=boosts,
        event_attributes=frozenset(LISTENING),
    )


def awards_of(rules: Rules, sent: list[Input]) -> Iterator[tuple[AwardRecord, UserState, UserState, Input]]:
    """Yield each award, with the state before and after its input, one a day."""
    filters = {each: Total() for each in rules.filters_of("lessons")}
    state, at, new_id = UserState(person(), known=False, totals={"lessons": filters}), NOON, numbers()
    for given_ in sent:
        before = state
        state, outcome = decide(rules, state, given_, at, new_id)
        at += timedelta(hours=17)
        if isinstance(outcome, Accepted):
            yield from ((record, before, state, given_) for record in outcome.awards)


def facts_of(record: AwardRecord, before: UserState, after: UserState, sent: Input, rules: Rules) -> Facts:
    """Return what the database would hold of the award."""
    award = record.award
    triggers = [*rules.creation_triggers, *rules.streak_triggers, *rules.achievement_triggers.get("goal", ())]
    triggers += [each for by_filter in rules.triggers_of("lessons").values() for each in by_filter]
    trigger = next((each for each in triggers if each.id == award.trigger_id), None)
    times, points = 1, sent.adjustment.points if isinstance(sent, AdjustInput) else None
    if trigger is not None:
        points = trigger.points
    if trigger is not None and trigger.cause == "metric":
        low, high = (state.totals["lessons"][trigger.event_filter].peak for state in (before, after))
        times = crossing_of(low, high, trigger.threshold).times
    return Facts(
        award.awarded,
        award.total,
        points,
        times,
        award.boosts,
        max_points=rules.systems[award.system_id].max_points,
    )


def check_steps(steps: Sum, facts: Facts) -> None:
    """Work the steps out in another way than the rules do: each follows from the one before, the last is the award."""
    assert steps.amount == steps.points * steps.times
    product = Fraction(steps.amount)
    boosts = facts.boosts if steps.amount > 0 else ()
    for boost in boosts:
        product *= Fraction(boost.multiplier)
    assert steps.product == product
    asked = {boost.rounding for boost in boosts}
    assert steps.rounding == next((each for each in ("down", "nearest", "up") if each in asked), None)
    half_up = floor(product + Fraction(1, 2))
    by_rounding = {None: product, Rounding.DOWN: floor(product), Rounding.NEAREST: half_up, Rounding.UP: ceil(product)}
    assert steps.rounded == by_rounding[steps.rounding]
    if steps.limit == Limit.NONE:
        assert steps.awarded == steps.rounded
    elif steps.limit == Limit.ZERO:
        assert steps.after == 0
        assert steps.rounded < steps.awarded < 0
    else:
        assert steps.after == (2**53 - 1 if steps.max_points is None else steps.max_points)
        assert steps.rounded > steps.awarded > 0
    assert steps.before + steps.awarded == steps.after
    assert (steps.awarded, steps.after) == (facts.awarded, facts.total)


@settings(deadline=None)
@given(
    triggers=trigger_rules(),
    boosts=boost_rules,
    maximum=st.none() | st.integers(1, 120),
    sent=st.lists(inputs, min_size=1, max_size=8),
)
def test_the_steps_of_every_award_that_the_rules_make_end_in_it(
    triggers: list[TriggerRule], boosts: list[BoostRule], maximum: int | None, sent: list[Input]
) -> None:
    rules = rules_of(triggers, boosts, maximum)
    for record, before, after, given_ in awards_of(rules, sent):
        facts = facts_of(record, before, after, given_, rules)
        explanation = explain(facts)
        assert explanation.basis == Basis.AS_KNOWN
        assert explanation.sum is not None
        check_steps(explanation.sum, facts)
        assert explanation.sum.points == facts.points


@settings(deadline=None)
@given(
    triggers=trigger_rules(),
    boosts=boost_rules,
    maximum=st.none() | st.integers(1, 120),
    sent=st.lists(inputs, min_size=1, max_size=8),
    points_known=st.integers(-100, 100).filter(bool),
    maximum_known=st.none() | st.integers(1, 120),
    times_known=st.none() | st.integers(0, 5),
    changed=st.tuples(st.booleans(), st.booleans()),
)
def test_however_little_is_known_an_explanation_has_no_steps_or_steps_that_end_in_the_award(
    triggers: list[TriggerRule],
    boosts: list[BoostRule],
    maximum: int | None,
    sent: list[Input],
    points_known: int,
    maximum_known: int | None,
    times_known: int | None,
    changed: tuple[bool, bool],
) -> None:
    rules = rules_of(triggers, boosts, maximum)
    for record, before, after, given_ in awards_of(rules, sent):
        facts = facts_of(record, before, after, given_, rules)
        edited = replace(
            facts,
            points=points_known,
            times=facts.times if times_known is None else times_known,
            max_points=maximum_known,
            trigger_doubtful=changed[0],
            system_doubtful=changed[1],
        )
        explanation = explain(edited)
        assert (explanation.sum is None) == (explanation.basis == Basis.UNKNOWN)
        if explanation.sum is not None:
            check_steps(explanation.sum, edited)


@given(
    paid=st.integers(-1000, 1000).filter(bool),
    today=st.integers(-1000, 1000).filter(bool),
    times=st.integers(1, 9),
    before=st.integers(9_001, 20_000),
)
def test_points_in_doubt_are_found_where_nothing_cut_or_boosted_the_award(
    paid: int, today: int, times: int, before: int
) -> None:
    facts = Facts(paid * times, before + paid * times, today, times, trigger_doubtful=True)
    found = explain(facts).sum
    assert found is not None
    assert found.points == paid


def test_an_award_that_an_earlier_maximum_cut_names_that_maximum() -> None:
    explanation = explain(Facts(awarded=3, total=10, points=5, max_points=500, system_doubtful=True))
    assert explanation.basis == Basis.OTHER_MAXIMUM
    assert explanation.sum is not None
    assert (explanation.sum.max_points, explanation.sum.limit) == (10, Limit.MAXIMUM)


def test_points_are_not_guessed_where_several_would_have_paid_the_same() -> None:
    half = (applied(Decimal("0.5"), Rounding.DOWN),)
    facts = Facts(awarded=10, total=10, points=4, boosts=half, trigger_doubtful=True)
    assert explain(facts).basis == Basis.UNKNOWN
    at_the_maximum = Facts(awarded=10, total=10, points=4, max_points=10, trigger_doubtful=True)
    assert explain(at_the_maximum).basis == Basis.UNKNOWN


@given(
    low=st.decimals(min_value=0, max_value=1000, places=9),
    more=st.decimals(min_value=0, max_value=1000, places=9),
    threshold=st.integers(1, 100),
)
def test_the_multiples_that_are_named_lie_above_the_peak_before_and_at_most_at_the_one_after(
    low: Decimal, more: Decimal, threshold: int
) -> None:
    crossing = crossing_of(low, low + more, threshold)
    passed = [each for each in range(threshold, 2001, threshold) if low < each <= low + more]
    assert crossing.times == len(passed)
    if passed:
        assert (crossing.first, crossing.last) == (passed[0], passed[-1])
