"""An award explained in words: what happened, and the steps of its sum."""

from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Final, TypedDict

from django.urls import reverse
from django.utils.html import format_html, format_html_join

from backoffice.award_facts import AwardFacts
from backoffice.ledger import LINK, award_address
from backoffice.user_cards import UNITS, Line, decimal_text, moment
from core.json import plain_number
from metrics.models import Event
from points.explanation import Basis, Crossing, Limit, Sum
from points.models import AwardCause, PointsAward, PointsTrigger
from points.rules import AppliedBoost, Rounding
from points.store import applied_boosts
from points.versions import PastRule
from streaks.rules import Frequency, period_end

_DIGITS: Final = Context(prec=120)
_NAMED_MULTIPLES_MAX: Final = 4
_ROUNDED: Final = {
    Rounding.DOWN: "rounded down",
    Rounding.NEAREST: "rounded to the nearest, halves up",
    Rounding.UP: "rounded up",
}


class Step(TypedDict):
    """A step of the sum: what is done, why, and the figure that it gives."""

    title: str
    text: str
    figure: str


class AwardPage(TypedDict):
    """All that the page of an award says. `notice` is what has been edited since, or is doubtful; '' if nothing is."""

    heading: str
    what: list[Line]
    notice: str
    steps: list[Step]


def award_page(facts: AwardFacts) -> AwardPage:
    """Return the explanation of an award."""
    return {
        "heading": f"{facts.award.awarded:+,} {facts.award.system.name}",
        "what": [{"term": term, "value": value} for term, value in _what(facts).items() if value],
        "notice": _notice(facts),
        "steps": [*_cause_steps(facts), *_sum_steps(facts), _balance_step(facts.award)],
    }


# --- What happened ---------------------------------------------------------------------------------------------------
def _what(facts: AwardFacts) -> dict[str, str]:
    award = facts.award
    lines = {"Cause": _cause(facts)}
    lines |= {} if facts.rule is None else _rule_lines(facts.rule)
    lines |= _event_lines(award.event) if award.event is not None else {}
    lines |= _adjustment_lines(facts) if award.cause == AwardCause.ADJUSTMENT else {}
    at = award.event.at if award.event is not None else award.created
    lines["When"] = f"{moment(at)} UTC"
    lines["For the user"] = moment(at, award.user.tz) if award.user.tz else "No time zone given: days go by UTC"
    return lines


def _cause(facts: AwardFacts) -> str:
    award = facts.award
    words = {
        AwardCause.METRIC: "An event took the user's highest total past a threshold",
        AwardCause.STREAK: "An event extended the user's streak",
        AwardCause.ACHIEVEMENT: "The user completed an achievement",
        AwardCause.TIME: "A time trigger paid everyone who matched",
        AwardCause.USER_CREATION: "The user was first made known",
        AwardCause.ADJUSTMENT: "An operator took points" if award.awarded < 0 else "An operator gave points",
    }
    return words[AwardCause(award.cause)]


def _rule_lines(rule: PastRule) -> dict[str, str]:
    trigger = rule.trigger
    link = format_html("<a class='{}' href='{}'>{}</a>", LINK, _trigger_page("change", trigger), trigger)
    filters = ", ".join(str(each) for each in trigger.filters.all())
    about = " or shortly before or after" if rule.is_doubtful else ""
    version = f"As it was when it paid{about}, saved {moment(trigger.updated)} UTC"
    return {"Trigger": link, "Only for": filters, "Rule": version}


def _trigger_page(page: str, trigger: PointsTrigger) -> str:
    return reverse(f"admin:points_pointstrigger_{page}", args=(trigger.id,))


def _event_lines(event: Event) -> dict[str, str]:
    attributes = ", ".join(f"{key} = {value}" for key, value in sorted(event.attributes.items()))
    return {
        "Event": f"{_signed(event.value)} {event.metric.name}",
        "Event attributes": attributes or "none",
        "Idempotency key": event.idempotency_key or "none was sent",
        "Event ID": str(event.id),
    }


def _adjustment_lines(facts: AwardFacts) -> dict[str, str]:
    adjustment = facts.award.adjustment
    lines = {"Operator": adjustment.operator, "Reason": adjustment.reason}
    if facts.reverses is not None:
        lines["Reverses"] = _line_link(facts.reverses)
    if facts.reversed_by is not None:
        lines["Reversed by"] = _line_link(facts.reversed_by)
    return lines


def _line_link(award: PointsAward) -> str:
    text = f"Line {award.seq:,}: {award.awarded:+,}"
    return format_html("<a class='{}' href='{}'>{}</a>", LINK, award_address(award.user_id, award.id), text)


# --- What has been edited since --------------------------------------------------------------------------------------
def _notice(facts: AwardFacts) -> str:
    return format_html_join(" ", "{}", [(text,) for text in (_edited(facts), _doubt(facts)) if text])


def _edited(facts: AwardFacts) -> str:
    """Say what the rule is today, if that is something else."""
    today, rule = facts.trigger_today, facts.rule
    if today is None or rule is None:
        return ""
    if str(today) != str(rule.trigger):
        text = f"The trigger has been edited since: today it is «{today}»."
    elif today.system.max_points != rule.trigger.system.max_points:
        now, then = (_maximum(each.system.max_points) for each in (today, rule.trigger))
        text = f"{today.system} has {now} today; it had {then} when this was paid."
    else:
        text = "The trigger has been edited since."
    history = _trigger_page("history", today)
    return format_html(
        "{} This page shows it as it was. <a class='font-medium underline' href='{}'>History</a>", text, history
    )


def _maximum(max_points: int | None) -> str:
    return "no maximum" if max_points is None else f"a maximum of {max_points:,}"


def _doubt(facts: AwardFacts) -> str:
    """Say what cannot be told for sure, and what follows from the award itself."""
    explanation, award = facts.explanation, facts.award
    sum_ = explanation.sum
    if explanation.basis == Basis.OTHER_POINTS and sum_ is not None:
        return f"The award was made at about the time of an edit: the trigger paid {sum_.points:,} then."
    if explanation.basis == Basis.OTHER_MAXIMUM and sum_ is not None:
        then = "no maximum that mattered" if sum_.max_points is None else f"a maximum of {sum_.max_points:,}"
        return f"The award was made at about the time of an edit: {award.system} had {then} then."
    if explanation.basis == Basis.AS_KNOWN:
        return ""
    if award.cause == AwardCause.ADJUSTMENT:
        return "What was asked for is kept with adjustments made on this page; this one was imported."
    would = "nothing" if explanation.known is None else f"{explanation.known.awarded:+,}"
    return (
        "The award was made before the history of the rules began, or at about the time of an edit: the rule as it "
        f"is known would give {would}. So the steps cannot be shown; the {award.awarded:+,} of the ledger stands."
    )


# --- The sum ---------------------------------------------------------------------------------------------------------
def _cause_steps(facts: AwardFacts) -> list[Step]:
    """Return how often the trigger fired, and why; nothing where that cannot be told any more."""
    steps = {
        AwardCause.METRIC: _crossing_step,
        AwardCause.STREAK: _streak_step,
        AwardCause.ACHIEVEMENT: _achievement_step,
        AwardCause.TIME: _time_step,
        AwardCause.USER_CREATION: _creation_step,
    }
    step = steps.get(AwardCause(facts.award.cause))
    found = None if step is None else step(facts)
    return [] if found is None else [found]


def _crossing_step(facts: AwardFacts) -> Step | None:
    crossing = facts.crossing
    if crossing is None or facts.award.event is None:
        return None
    metric = facts.award.trigger.metric if facts.award.trigger else facts.award.event.metric
    which = f" of events with {', '.join(facts.event_filter)}" if facts.event_filter else ""
    opening = f", of which {decimal_text(facts.opening)} is the opening balance" if facts.opening else ""
    moved = f"from {decimal_text(crossing.before)} to {decimal_text(crossing.after)}{opening}"
    text = f"The highest total of {metric}{which} rose {moved}. {_passed(crossing)}"
    return {"title": "Threshold", "text": text, "figure": f"x{crossing.times:,}"}


def _passed(crossing: Crossing) -> str:
    every = f"The trigger fires at every {crossing.threshold:,}"
    if not crossing.times:
        return f"{every} by what is known of it, and passed none."
    multiples = range(crossing.first, crossing.last + 1, crossing.threshold)
    if crossing.times > _NAMED_MULTIPLES_MAX:
        return f"{every}: passed {multiples[0]:,}, {multiples[1]:,} and so on to {multiples[-1]:,}."
    return f"{every}: passed {', '.join(f'{each:,}' for each in multiples)}."


def _streak_step(facts: AwardFacts) -> Step | None:
    streak, trigger = facts.streak, facts.award.trigger
    if streak is None or trigger is None or not trigger.streak_length:
        return None
    frequency = Frequency(streak.frequency)
    period = f"{streak.period}"
    if frequency != Frequency.DAILY:
        period += f" to {period_end(streak.period, frequency)}"
    unit = UNITS[frequency] + ("" if streak.length == 1 else "s")
    fits = streak.length % trigger.streak_length == 0
    every = f"The trigger fires at every {trigger.streak_length:,}{'' if fits else ' by what is known of it'}."
    return {"title": "Streak", "text": f"{period} made it {streak.length:,} {unit} in a row. {every}", "figure": "x1"}


def _achievement_step(facts: AwardFacts) -> Step | None:
    trigger, completion = facts.award.trigger, facts.completion
    if completion is None or trigger is None:
        return None
    how = " It was found when the achievement was activated or changed: the user qualified already." * completion.quiet
    text = f"{trigger.achievement} was completed, which happens once.{how}"
    return {"title": "Achievement", "text": text, "figure": "x1"}


def _time_step(facts: AwardFacts) -> Step | None:
    if facts.due is None:
        text = "The payment that was due; boosts are those of the moment at which it was."
    else:
        paid = moment(facts.award.created)
        text = f"Due at {moment(facts.due)} UTC, paid at {paid}. Boosts are those of when it was due."
    return {"title": "Time", "text": text, "figure": "x1"}


def _creation_step(facts: AwardFacts) -> Step | None:
    text = f"First made known on {moment(facts.award.user.created)} UTC, which happens once."
    return {"title": "New user", "text": text, "figure": "x1"}


def _sum_steps(facts: AwardFacts) -> list[Step]:
    sum_ = facts.explanation.sum
    boosts = list(applied_boosts(facts.award))
    if sum_ is None:
        return [_boost_step(boost) for boost in boosts]
    steps = [_points_step(facts, sum_)]
    if sum_.rounding is not None:
        steps += [_boost_step(boost) for boost in boosts]
        steps.append(_rounding_step(sum_, sum_.rounding, boosts))
    if sum_.limit != Limit.NONE:
        steps.append(_limit_step(facts.award, sum_))
    return steps


def _points_step(facts: AwardFacts, sum_: Sum) -> Step:
    if facts.award.cause == AwardCause.ADJUSTMENT:
        return {"title": "Asked for", "text": "By the operator; boosts do not apply.", "figure": f"{sum_.amount:+,}"}
    text = f"{sum_.points:,} points each time x {sum_.times:,}."
    return {"title": "Points", "text": text, "figure": f"{sum_.amount:+,}"}


def _boost_step(boost: AppliedBoost) -> Step:
    days = f"from {boost.start} on" if boost.end is None else f"{boost.start} to {boost.end}"
    text = f"{boost.name}, {days} by the user's calendar; asks to be {_ROUNDED[boost.rounding]}."
    return {"title": "Boost", "text": text, "figure": f"x{plain_number(boost.multiplier)}"}


def _rounding_step(sum_: Sum, rounding: Rounding, boosts: list[AppliedBoost]) -> Step:
    product = f"{sum_.amount:,} x {' x '.join(str(plain_number(boost.multiplier)) for boost in boosts)} = "
    exact = _exact(sum_.product)
    if sum_.product == sum_.rounded:
        text = f"{product}{exact}: whole, so there is nothing to round."
    else:
        disagree = len({boost.rounding for boost in boosts}) > 1
        because = " The boosts disagree, and the strictest wins: down, then nearest, then up." if disagree else ""
        text = f"{product}{exact}, {_ROUNDED[rounding]} once.{because}"
    return {"title": "Boosted", "text": text, "figure": f"{sum_.rounded:+,}"}


def _limit_step(award: PointsAward, sum_: Sum) -> Step:
    if sum_.limit == Limit.ZERO:
        text = f"The user had {sum_.before:,}, and a balance is never below 0: no more could be taken."
        return {"title": "Not below 0", "text": text, "figure": f"{sum_.awarded:+,}"}
    ceiling = "the greatest balance there is" if sum_.max_points is None else f"the maximum of {sum_.max_points:,}"
    text = f"The user had {sum_.before:,}, and {award.system} stops at {ceiling}: there was room for {sum_.awarded:,}."
    return {"title": "Maximum", "text": text, "figure": f"{sum_.awarded:+,}"}


def _balance_step(award: PointsAward) -> Step:
    before = award.total - award.awarded
    sign = "+" if award.awarded > 0 else "-"
    return {
        "title": "Balance",
        "text": f"{before:,} before {sign} {abs(award.awarded):,}.",
        "figure": f"{award.total:,}",
    }


def _signed(number: Decimal) -> str:
    return f"{'+' if number > 0 else ''}{decimal_text(number)}"


def _exact(number: Fraction) -> str:
    """Return a product of whole numbers and multipliers, which has finitely many decimals."""
    return f"{_DIGITS.divide(Decimal(number.numerator), Decimal(number.denominator)).normalize(_DIGITS):,f}"


def context_of(facts: AwardFacts) -> dict[str, Any]:
    """Return what the template of an award's page needs."""
    return {"award": facts.award, "page": award_page(facts)}
