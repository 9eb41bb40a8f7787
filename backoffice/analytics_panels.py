"""The panels of a points system's analytics, each made from sums that are kept rolled up."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Final

from django.urls import reverse

from analytics import reports
from analytics.models import NO_SUBJECT
from analytics.reports import BoostEffect, Source, SystemSums, Tally, TopUser
from analytics.rollup import EARLY_DAYS
from analytics.rules import change_percent, histogram, median_place, sum_by_day
from backoffice.charts import (
    AMBER,
    GREY,
    INDIGO,
    ROSE,
    TEAL,
    Card,
    Cell,
    Chart,
    Panel,
    bars,
    by_step,
    label_lines,
    line,
    number_card,
    sparkline,
    steps_of,
)
from backoffice.periods import Period
from core.json import plain_number
from levels.models import Level
from points.models import AwardCause, PointsSystem, PointsTrigger

TRIGGERS_DRAWN_MAX: Final = 10
TOP_USERS: Final = 10
MINUTES_PER_HOUR: Final = 60
MINUTES_PER_DAY: Final = 24 * MINUTES_PER_HOUR

NO_POINTS: Final = (
    "No points moved in these days. They appear here with the first event that fires an active trigger; "
    "choose other days above to look further back."
)


def cards(period: Period, now: Sequence[SystemSums], before: Sequence[SystemSums]) -> list[Card]:
    """Return the sums of the period, compared with those of the one before."""
    return [
        _sum_card("Points awarded", period, now, before, lambda each: each.awarded),
        _sum_card("Points deducted", period, now, before, lambda each: each.deducted),
        adjusted_card("Points adjusted", period, now),
        _sum_card("Net change", period, now, before, lambda each: each.net),
        _sum_card("Lines in the ledger", period, now, before, lambda each: each.awards),
    ]


def _sum_card(
    title: str,
    period: Period,
    now: Sequence[SystemSums],
    before: Sequence[SystemSums],
    amount: Callable[[SystemSums], int],
) -> Card:
    series = sum_by_day(period.days, ((each.day, amount(each)) for each in now))
    compared = f"the {period.days.length} days before"
    return number_card(title, sum(series), sum(map(amount, before)), series, compared=compared)


def adjusted_card(title: str, period: Period, sums: Sequence[SystemSums]) -> Card:
    """Return what adjustments and reversals came to in the period, and what they are the sum of."""
    found = [each for each in sums if period.days.first <= each.day <= period.days.last]
    series = sum_by_day(period.days, ((each.day, each.adjusted) for each in found))
    given, taken = sum(each.given for each in found), sum(each.taken for each in found)
    parts = [text for text, is_some in ((f"{given:,} given", given), (f"{taken:,} taken", taken)) if is_some]
    note = f"{' and '.join(parts)} by operators" if parts else "Nothing given or taken by operators"
    return Card(title, signed(sum(series)), None, note, sparkline(series), note=note)


def signed(number: int) -> str:
    """Return a whole number with its sign, 0 without one."""
    return f"{number:+,}" if number else "0"


def over_time(period: Period, now: Sequence[SystemSums], before: Sequence[SystemSums]) -> Panel:
    """Return what was awarded, deducted and adjusted step by step, beside what was awarded in the period before."""
    days = period.days
    awarded = by_step(days, sum_by_day(days, ((each.day, each.awarded) for each in now)))
    deducted = by_step(days, sum_by_day(days, ((each.day, each.deducted) for each in now)))
    adjusted = by_step(days, sum_by_day(days, ((each.day, each.adjusted) for each in now)))
    # Step by step beside the period before, whose days have the same places.
    shifted = ((each.day + timedelta(days=days.length), each.awarded) for each in before)
    awarded_before = by_step(days, sum_by_day(days, shifted))
    starts, step = steps_of(days)
    rows: list[list[Cell]] = []
    total = 0
    for start, plus, minus, moved, plus_before in zip(starts, awarded, deducted, adjusted, awarded_before, strict=True):
        total += plus
        rows.append([start.isoformat(), plus, minus, moved, plus - minus + moved, total, plus_before])
    chart = Chart(
        [f"{start:%b} {start.day}" for start in starts],
        [
            line("Awarded in the period before", awarded_before, GREY, is_dashed=True),
            bars("Awarded", awarded, TEAL, stack="points"),
            bars("Deducted", [-each for each in deducted], ROSE, stack="points"),
            bars("Adjusted", adjusted, AMBER, stack="points"),
        ],
        f"Points by {step.split()[0].lower()}: {sum(awarded):,} awarded, {sum(deducted):,} deducted and "
        f"{signed(sum(adjusted))} adjusted in all.",
        is_stacked=True,
        y_title="Points",
    )
    return Panel(
        "points",
        "Points over time",
        [step, "Awarded", "Deducted", "Adjusted", "Net", "Awarded so far", "Awarded in the period before"],
        rows,
        chart if any(awarded) or any(deducted) or any(adjusted) else None,
        "Adjusted is what operators gave and took, reversals included.",
        empty=NO_POINTS,
        query=period.query,
        is_wide=True,
    )


def by_type(period: Period, found: Sequence[Source]) -> Panel:
    """Return what came of each type of trigger, and of adjustments last."""
    causes = [cause for cause in AwardCause if any(each.cause == cause for each in found)]
    sums = {cause: [each for each in found if each.cause == cause] for cause in causes}
    causes.sort(
        key=lambda cause: (cause != AwardCause.ADJUSTMENT, sum(each.moved for each in sums[cause])), reverse=True
    )
    rows: list[list[Cell]] = [[str(cause.label), *_figures(sums[cause], found)] for cause in causes]
    return Panel(
        "types",
        "By type of trigger",
        ["Type", *_SOURCE_HEADERS],
        rows,
        _source_chart(rows, "Points by type of trigger") if any(each.moved for each in found) else None,
        empty=NO_POINTS,
        query=period.query,
    )


def by_trigger(period: Period, found: Sequence[Source]) -> Panel:
    """Return what came of each trigger, the one that moved most first, and of adjustments last."""
    triggers = PointsTrigger.objects.select_related("metric", "achievement").in_bulk(
        [each.trigger_id for each in found]
    )
    shown = sorted((each for each in found if each.moved), key=lambda each: each.is_adjustment)
    names = [_name_of(each, triggers.get(each.trigger_id)) for each in shown]
    rows: list[list[Cell]] = [[name, *_figures([each], found)] for name, each in zip(names, shown, strict=True)]
    drawn = rows if len(rows) <= TRIGGERS_DRAWN_MAX else _drawn(rows, shown)
    note = f"The chart shows the {TRIGGERS_DRAWN_MAX} that moved most." if len(rows) > len(drawn) else ""
    return Panel(
        "triggers",
        "By trigger",
        ["Trigger", *_SOURCE_HEADERS],
        rows,
        _source_chart(drawn, "Points by trigger") if rows else None,
        note,
        NO_POINTS,
        query=period.query,
        links=[
            reverse("admin:points_pointstrigger_change", args=(each.trigger_id,))
            if each.trigger_id in triggers
            else None
            for each in shown
        ],
    )


def _drawn(rows: Sequence[list[Cell]], sources: Sequence[Source]) -> list[list[Cell]]:
    """Return the rows that a chart has room for: of the triggers that moved most, and of adjustments."""
    adjusted = [row for row, source in zip(rows, sources, strict=True) if source.is_adjustment]
    return [*rows[: TRIGGERS_DRAWN_MAX - len(adjusted)], *adjusted]


_SOURCE_HEADERS: Final = ("Lines", "Awarded", "Deducted", "Adjusted", "Share %", "Change %")


def _figures(part: Sequence[Source], found: Sequence[Source]) -> list[Cell]:
    """Return the figures of triggers, or of adjustments, which have no share in what triggers moved."""
    moved, moved_before = sum(each.moved for each in part), sum(each.moved_before for each in part)
    lines, change = sum(each.awards for each in part), change_percent(moved, moved_before)
    awarded, deducted = sum(each.awarded for each in part), sum(each.deducted for each in part)
    if any(each.is_adjustment for each in part):
        return [lines, 0, 0, awarded - deducted, None, change]
    moved_by_all = sum(each.moved for each in found if not each.is_adjustment)
    return [lines, awarded, deducted, 0, round(100 * moved / moved_by_all) if moved_by_all else None, change]


def _name_of(source: Source, trigger: PointsTrigger | None) -> str:
    if source.trigger_id == NO_SUBJECT:
        return AwardCause(source.cause).label
    return str(trigger) if trigger else str(source.trigger_id)


def _source_chart(rows: Sequence[Sequence[Cell]], summary: str) -> Chart:
    awarded, deducted, adjusted = ([int(row[place] or 0) for row in rows] for place in (2, 3, 4))
    datasets = [bars("Awarded", awarded, TEAL, stack="points")]
    if any(deducted):
        datasets.append(bars("Deducted", [-each for each in deducted], ROSE, stack="points"))
    if any(adjusted):
        datasets.append(bars("Adjusted", adjusted, AMBER, stack="points"))
    first = f"the first, {rows[0][0]}, awarded {awarded[0]:,} and deducted {deducted[0]:,}"
    most = f"; {first}; adjustments came to {signed(sum(adjusted))}."
    return Chart(
        [label_lines(str(row[0])) for row in rows],
        datasets,
        summary + most,
        is_sideways=True,
        is_stacked=True,
        x_title="Points",
    )


def earned(period: Period, tally: Tally) -> Panel:
    """Return how many users earned how much since the beginning."""
    return Panel(
        "earned",
        "Users by points earned",
        ["Points earned", "Users", "Share %"],
        _histogram_rows(tally),
        _histogram_chart(tally, "Users by the points that they earned since the beginning", INDIGO),
        "Since the beginning, whatever the days above: all that triggers ever awarded; deductions and adjustments are "
        "left out. Who earned nothing is not in it.",
        "Nobody earned points yet.",
        _tally_facts(tally),
        period.query,
    )


def top_users(period: Period, found: Sequence[TopUser]) -> Panel:
    """Return who earned most since the beginning."""
    return Panel(
        "top-users",
        "Most points earned",
        ["User", "Name", "Earned", "Balance"],
        [[each.external_id, each.name, each.earned, each.total] for each in found],
        note="Since the beginning, whatever the days above.",
        empty="Nobody earned points yet.",
        query=period.query,
        links=[reverse("admin:users_enduser_change", args=(each.id,)) for each in found],
        is_table=True,
    )


def _histogram_rows(tally: Tally) -> list[list[Cell]]:
    return [
        [_range(bar.first, bar.last), bar.users, round(100 * bar.users / tally.users, 1)]
        for bar in histogram(tally.users_of)
    ]


def _histogram_chart(tally: Tally, summary: str, colour: str) -> Chart | None:
    found = histogram(tally.users_of)
    if not found:
        return None
    return Chart(
        [_range(bar.first, bar.last) for bar in found],
        [bars("Users", [bar.users for bar in found], colour)],
        f"{summary}: {tally.users:,} users, {_mean(tally)} on average.",
        x_title="Points",
        y_title="Users",
    )


def _range(first: int, last: int) -> str:
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"


def _mean(tally: Tally) -> str:
    return "-" if tally.mean is None else f"{tally.mean:,.1f}"


def _tally_facts(tally: Tally) -> list[tuple[str, str]]:
    about = "about " if (tally.median or 0) >= 100 else ""
    median = "-" if tally.median is None else f"{about}{tally.median:,}"
    return [("Users", f"{tally.users:,}"), ("Mean", _mean(tally)), ("Median", median)]


def early(period: Period, tallies: dict[date, Tally]) -> list[Panel]:
    """Return what users earned in their first 14 days: of all who became known in the period's weeks, and by week."""
    everyone = reports.merge_tallies(tallies.values())
    spread = Panel(
        "first-days",
        f"Points earned in the first {EARLY_DAYS} days",
        ["Points earned", "Users", "Share %"],
        _histogram_rows(everyone),
        _histogram_chart(everyone, f"Users by the points of their first {EARLY_DAYS} days", AMBER),
        "Of users who became known in the weeks of these days; who earned nothing counts as 0.",
        "Nobody became known in these weeks.",
        _tally_facts(everyone),
        period.query,
    )
    return [spread, _cohorts(period, {week: each for week, each in tallies.items() if each.users})]


def _cohorts(period: Period, tallies: dict[date, Tally]) -> Panel:
    rows: list[list[Cell]] = [
        [
            f"{week}{'' if _is_over(week, period.today) else ' (still running)'}",
            tally.users,
            tally.users - tally.users_of.get(0, 0),
            round(tally.mean or 0, 1),
            tally.median,
        ]
        for week, tally in tallies.items()
    ]
    chart = Chart(
        [f"{week:%b} {week.day}" for week in tallies],
        [bars("Mean", [row[3] for row in rows], AMBER), bars("Median", [row[4] for row in rows], INDIGO)],
        f"Mean and median points of the first {EARLY_DAYS} days for {len(rows)} weeks.",
        x_title="Week in which users became known",
        y_title="Points",
    )
    return Panel(
        "cohorts",
        f"First {EARLY_DAYS} days by week of sign-up",
        ["Week from", "Users", "With points", "Mean", "Median"],
        rows,
        chart if rows else None,
        f"A week is still running until {EARLY_DAYS} days after its last day.",
        "Nobody became known in these weeks.",
        query=period.query,
    )


def _is_over(week: date, today: date) -> bool:
    return today > week + timedelta(days=6 + EARLY_DAYS)


def funnel(period: Period, system: PointsSystem, levels: Sequence[Level], users: int) -> Panel:
    """Return how many users ever reached each level, and how long half of those took."""
    reached = reports.level_tallies(system.id)
    rows: list[list[Cell]] = []
    before = users
    for level in levels:
        count = sum(reached.get(level.points, {}).values()) if level.points else users
        minutes = median_place(reached.get(level.points, {})) if level.points else 0
        rows.append([level.name, level.points, count, _percent(count, users), _percent(count, before), _took(minutes)])
        before = count
    chart = Chart(
        [label_lines(str(row[0]), *([f"median {row[5]}"] if row[5] and row[1] else [])) for row in rows],
        [bars("Users", [int(row[2] or 0) for row in rows], INDIGO)],
        f"Users who ever reached each of {len(levels)} levels.",
        is_sideways=True,
        x_title="Users who ever reached it",
    )
    return Panel(
        "levels",
        "Level funnel",
        ["Level", "From points", "Users", "% of all", "% of level before", "Median time to reach"],
        rows,
        chart if rows and users else None,
        "Since the beginning, whatever the days above. Who fell below a level again still counts; the time is counted "
        "from when the user became known. A level that was just added or changed is counted within minutes.",
        "No level yet: add some in the tab Levels, and see how far users come.",
        query=period.query,
        links=[reverse("admin:levels_level_change", args=(level.id,)) for level in levels],
    )


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None


def _took(minutes: int | None) -> str | None:
    if minutes is None:
        return None
    if minutes < MINUTES_PER_HOUR:
        return f"{minutes} min"
    if minutes < 2 * MINUTES_PER_DAY:
        return f"{minutes / MINUTES_PER_HOUR:.1f} hours"
    return f"{minutes / MINUTES_PER_DAY:.1f} days"


def boosts(period: Period, found: Sequence[BoostEffect]) -> Panel:
    """Return what each boost brought: what its awards came to, and about what without it."""
    rows: list[list[Cell]] = []
    for each in found:
        without = round(each.without)
        rows.append(
            [
                each.name or "Boosts of single users",
                "" if each.multiplier is None else f"x{plain_number(each.multiplier)}",
                each.awards,
                each.awarded,
                without,
                each.awarded - without,
            ]
        )
    chart = Chart(
        [label_lines(str(row[0])) for row in rows],
        [
            bars("Without it, about", [int(row[4] or 0) for row in rows], GREY),
            bars("With it", [int(row[3] or 0) for row in rows], TEAL),
        ],
        f"Points with and without each of {len(rows)} boosts.",
        is_sideways=True,
        x_title="Points",
    )
    return Panel(
        "boosts",
        "Effect of boosts",
        ["Boost", "Multiplier", "Boosted awards", "With it", "Without it, about", "Extra, about"],
        rows,
        chart if rows else None,
        "Without a boost is what was awarded, divided by its multiplier: exact but for rounding, and where a maximum "
        "cut an award short. Users may have done more because of it; that is not taken off.",
        "No boost multiplied anything in these days. Add one in the tab Boosts, and compare.",
        query=period.query,
    )
