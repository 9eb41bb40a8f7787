"""What is stored about an award, gathered for its explanation: a few queries, however long the ledger is."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from achievements.models import Completion
from metrics.models import Event, EventKind
from metrics.rules import NO_FILTER, canonical_filter
from metrics.store import read_totals_around
from points.explanation import Crossing, Explanation, Facts, crossing_of, explain
from points.models import AdjustmentRequest, AwardCause, PointsAward, PointsTrigger, TimeTick
from points.render import render_trigger
from points.store import applied_boosts, load_trigger
from points.versions import PastRule, past_maximum, past_rules
from streaks.models import StreakPeriod
from users.models import EndUser

NAMED: Final = ("user", "system", "event__metric")


@dataclass(frozen=True, slots=True)
class AwardFacts:
    """An award with its explanation and what it came of; what belongs to other causes is None.

    `rule` is the trigger as it was when it paid, which `award.trigger` is, too; `trigger_today` as it is, where it has
    been edited since. `crossing` is of totals of the events that match `event_filter`; `opening` the opening balance
    that they include. `due` is the instant for which a time trigger paid, where it can be told. `reverses` and
    `reversed_by` are other lines of the ledger, whose adjustments take each other back.
    """

    award: PointsAward
    explanation: Explanation
    rule: PastRule | None = None
    trigger_today: PointsTrigger | None = None
    crossing: Crossing | None = None
    event_filter: tuple[str, ...] = ()
    opening: Decimal | None = None
    streak: StreakPeriod | None = None
    completion: Completion | None = None
    due: datetime | None = None
    request: AdjustmentRequest | None = None
    reverses: PointsAward | None = None
    reversed_by: PointsAward | None = None


def find_award(user: EndUser, award_id: UUID) -> PointsAward | None:
    """Return the line of the user's ledger with this id, with what names it."""
    lines = PointsAward.objects.select_related(*NAMED, "adjustment")
    return lines.filter(user=user, id=award_id).first()


def award_facts(award: PointsAward) -> AwardFacts:
    """Return an award of `find_award` with all that explains it."""
    if award.cause == AwardCause.ADJUSTMENT:
        return _of_adjustment(award)
    rule = past_rules([award]).get(award.id)
    if rule is None:
        return AwardFacts(award, explain(_facts(award, rule)))
    award.trigger = rule.trigger
    facts = _of_cause(award, rule)
    return replace(facts, rule=rule, trigger_today=_edited_since(rule))


def _of_cause(award: PointsAward, rule: PastRule) -> AwardFacts:
    if award.cause == AwardCause.METRIC and award.event is not None:
        return _of_metric(award, award.event, rule)
    explanation = explain(_facts(award, rule))
    if award.cause == AwardCause.STREAK:
        return AwardFacts(award, explanation, streak=_streak_period(award))
    if award.cause == AwardCause.ACHIEVEMENT:
        return AwardFacts(award, explanation, completion=_completion(award))
    if award.cause == AwardCause.TIME:
        return AwardFacts(award, explanation, due=_due(award))
    return AwardFacts(award, explanation)


def _edited_since(rule: PastRule) -> PointsTrigger | None:
    """Return the trigger as it is, None if it says the same as when it paid: whether it still pays does not matter."""
    today = load_trigger(rule.trigger.id)
    same_rule = _said_by(today) == _said_by(rule.trigger)
    return None if same_rule and today.system.max_points == rule.trigger.system.max_points else today


def _said_by(trigger: PointsTrigger) -> dict[str, object]:
    return {**render_trigger(trigger), "block": trigger.block_if_out_of_points, "status": "", "updated": ""}


def _facts(award: PointsAward, rule: PastRule | None, *, points: int | None = None, times: int = 1) -> Facts:
    is_doubtful = award.rule_version is None
    return Facts(
        awarded=award.awarded,
        total=award.total,
        points=rule.trigger.points if rule else points,
        times=times,
        boosts=tuple(applied_boosts(award)),
        max_points=rule.trigger.system.max_points if rule else past_maximum(award),
        trigger_doubtful=rule is not None and rule.is_doubtful,
        system_doubtful=rule.is_doubtful if rule else is_doubtful,
    )


def _of_metric(award: PointsAward, event: Event, rule: PastRule) -> AwardFacts:
    trigger = rule.trigger
    if trigger.metric_id != event.metric_id:
        # Which rule it was is doubtful, and this one was of something else.
        return AwardFacts(award, explain(_facts(award, rule, times=0)))
    filters = {each.attribute.key: each.value for each in trigger.filters.all() if each.is_of_event}
    before, after = read_totals_around(event, canonical_filter(filters))
    crossing = crossing_of(before.peak, after.peak, trigger.metric_threshold or 1)
    return AwardFacts(
        award,
        explain(_facts(award, rule, times=crossing.times)),
        crossing=crossing,
        event_filter=tuple(f"{key} = {value}" for key, value in filters.items()),
        opening=_opening(event) if canonical_filter(filters) == NO_FILTER else None,
    )


def _opening(event: Event) -> Decimal | None:
    openings = Event.objects.filter(user_id=event.user_id, metric_id=event.metric_id, kind=EventKind.OPENING)
    return openings.filter(at__lt=event.at).values_list("value", flat=True).first()


def _of_adjustment(award: PointsAward) -> AwardFacts:
    lines = AdjustmentRequest.objects.select_related("adjustment__award", "reverses__award")
    request = lines.filter(adjustment=award.adjustment).first()
    undone = lines.filter(reverses=award.adjustment).first()
    return AwardFacts(
        award,
        explain(_facts(award, None, points=request.points if request else None)),
        request=request,
        reverses=request.reverses.award if request and request.reverses else None,
        reversed_by=undone.adjustment.award if undone else None,
    )


def _streak_period(award: PointsAward) -> StreakPeriod | None:
    """Return the period whose counting made the streak as long as it was."""
    return StreakPeriod.objects.filter(user_id=award.user_id, extended=award.created).first()


def _completion(award: PointsAward) -> Completion | None:
    if award.trigger is None or award.trigger.achievement_id is None:
        return None
    completions = Completion.objects.filter(user_id=award.user_id, achievement_id=award.trigger.achievement_id)
    return completions.select_related("achievement").filter(at=award.created).first()


def _due(award: PointsAward) -> datetime | None:
    """Return when the payment was due. None where it can have been of several: after downtime they overlap."""
    ticks = TimeTick.objects.filter(trigger_id=award.trigger_id, due__lte=award.created)
    running = ticks.exclude(finished__lt=award.created).order_by("due").values_list("due", flat=True)[:2]
    dues = list(running)
    return dues[0] if len(dues) == 1 else None
