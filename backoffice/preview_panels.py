"""What the Preview tab shows: what a draft pays a made-up user, how archetypes get on, and what a backtest found."""

from collections.abc import Sequence
from typing import Final

from django.urls import reverse

from backoffice.analytics_panels import signed
from backoffice.charts import GREY, INDIGO, TEAL, Card, Cell, Chart, Panel, bars, label_lines, line
from levels.models import Level
from points.models import PointsTrigger
from preview.drafts import Parts
from preview.models import Backtest
from preview.results import PERCENTILES, Result, TriggerResult, UserDifference
from preview.rules import NO_ID, Calculation, Projection
from preview.store import ALL

COLOURS: Final = (GREY, INDIGO, TEAL)
LABELS_MAX: Final = 30

Names = dict[str, str]
"""What triggers or levels are called, by id; '' is what has none."""


def trigger_names(triggers: Sequence[PointsTrigger]) -> Names:
    """Return what triggers are called; points without one are adjustments."""
    return {"": "Adjustments", **{str(each.id): str(each) for each in triggers}}


def level_names(levels: Sequence[Level]) -> Names:
    """Return what levels are called."""
    return {"": "below all levels", **{str(each.id): str(each) for each in levels}}


def calculation_rows(parts: Parts, calculation: Calculation) -> list[tuple[str, int, int, str]]:
    """Return what each trigger paid: its name, in how many awards, how many points, by which boosts."""
    names = trigger_names(parts.triggers)
    return [
        (names.get(each.trigger_id, each.trigger_id), each.awards, each.points, ", ".join(each.boosts))
        for each in calculation.lines
    ]


def reached_level(parts: Parts, calculation: Calculation) -> str:
    """Return the name of the level that is reached, '' where there are no levels."""
    return level_names(parts.levels)[calculation.level_id or ""] if parts.levels else ""


def projected_totals(projections: Sequence[Projection], query: str) -> Panel:
    """Return how the totals of the archetypes grow, day by day."""
    days = len(projections[0].totals)
    rows: list[list[Cell]] = [[number + 1, *(each.totals[number] for each in projections)] for number in range(days)]
    ends = ", ".join(f"{each.name} {each.totals[-1]:,}" for each in projections)
    return Panel(
        "projection",
        f"Points over {days} days",
        ["Day", *(each.name.capitalize() for each in projections)],
        rows,
        Chart(
            [str(number + 1) for number in range(days)],
            [
                line(each.name.capitalize(), each.totals, colour)
                for each, colour in zip(projections, COLOURS, strict=True)
            ],
            f"Totals after {days} days: {ends}.",
            type="line",
            x_title="Day",
            y_title="Points",
        ),
        query=query,
        is_wide=True,
    )


def level_days(parts: Parts, projections: Sequence[Projection], query: str) -> Panel:
    """Return on which day each archetype reaches each level."""
    return Panel(
        "levels",
        "Day on which each level is reached",
        ["Level", *(each.name.capitalize() for each in projections)],
        [[str(level), *(each.level_days.get(str(level.id)) for each in projections)] for level in parts.levels],
        note="A dash: not within these days.",
        empty="This points system has no levels yet. Add some in the tab Levels, and see here when they are reached.",
        query=query,
        is_wide=True,
        is_table=True,
    )


# --- Backtests -------------------------------------------------------------------------------------------------------
def backtest_cards(result: Result) -> list[Card]:
    """Return the sums of what triggers pay, and apart from them what operators adjusted."""
    nothing = TriggerResult(NO_ID, 0, 0, 0)
    adjusted = next((each for each in result.triggers if each.trigger_id == NO_ID), nothing)
    paid, live, draft = result.paid - adjusted.paid, result.live - adjusted.live, result.draft - adjusted.draft
    share = f"{(draft - live) / abs(live):+.1%} of what the live rules pay" if live else ""
    return [
        Card("Paid, by the ledger", f"{paid:,}"),
        Card("Live rules of today", f"{live:,}"),
        Card("Draft", f"{draft:,}"),
        Card("Draft less live", f"{draft - live:+,}", compared=share, note=share),
        Card("Adjusted by operators", signed(adjusted.paid)),
    ]


def backtest_panels(result: Result, levels: Sequence[Level], triggers: Sequence[PointsTrigger]) -> list[Panel]:
    """Return the panels of a backtest."""
    return [
        _percentiles(result),
        _levels(levels, result),
        _by_trigger(trigger_names(triggers), result),
        _users("gain", "Who gains most", result.gain, result.gainers),
        _users("lose", "Who loses most", result.lose, result.losers),
    ]


def _percentiles(result: Result) -> Panel:
    names = [f"{each} %" if each != 50 else "median" for each in PERCENTILES]
    live, draft = result.live_percentiles, result.draft_percentiles
    return Panel(
        "percentiles",
        "Points of a user, from the least to the most",
        ["Of the users who moved", "Live", "Draft"],
        [[name, *pair] for name, *pair in zip(names, live, draft, strict=True)],
        Chart(
            names,
            [bars("Live", live, GREY), bars("Draft", draft, TEAL)],
            f"The median user gets {live[2]:,} by the live rules and {draft[2]:,} by the draft.",
            y_title="Points",
        )
        if result.active
        else None,
        note="So many of the users got at most so many points, awards less deductions.",
        empty="No points moved in these days, by neither rules: choose more days.",
    )


def _levels(levels: Sequence[Level], result: Result) -> Panel:
    names = level_names(levels)
    found = [each for each in result.levels if each.level_id in names and (each.level_id or each.live or each.draft)]
    return Panel(
        "levels",
        "Users on each level at the end",
        ["Level", "Live", "Draft"],
        [[names[each.level_id], each.live, each.draft] for each in found],
        Chart(
            [label_lines(names[each.level_id]) for each in found],
            [bars("Live", [each.live for each in found], GREY), bars("Draft", [each.draft for each in found], TEAL)],
            "Users on each level, by the live rules and by the draft.",
            is_sideways=True,
        )
        if levels and len(found) <= LABELS_MAX
        else None,
        empty="This points system has no levels.",
        is_table=True,
    )


def _by_trigger(names: Names, result: Result) -> Panel:
    ordered = sorted(result.triggers, key=lambda each: -max(abs(each.live), abs(each.draft), abs(each.paid)))
    return Panel(
        "triggers",
        "By trigger",
        ["Trigger", "Paid, by the ledger", "Live", "Draft", "Draft less live"],
        [
            [names.get(each.trigger_id, "archived"), each.paid, each.live, each.draft, each.draft - each.live]
            for each in ordered
        ],
        empty="No points moved in these days.",
        is_wide=True,
        is_table=True,
    )


def _users(key: str, title: str, users: Sequence[UserDifference], count: int) -> Panel:
    return Panel(
        key,
        f"{title} ({count:,} in all)",
        ["User", "Live", "Draft", "Difference"],
        [[each.external_id, each.live, each.draft, each.difference] for each in users],
        empty="Nobody.",
        links=[reverse("admin:users_enduser_change", args=(each.id,)) for each in users],
        is_table=True,
    )


def sample_of(backtest: Backtest) -> str:
    """Return in words how many of the users took part."""
    if backtest.share >= ALL:
        return f"All {backtest.users:,} users took part."
    return (
        f"A sample took part: {backtest.users:,} users, {backtest.share / ALL:.1%} of all, since all would take more "
        f"than about a minute. All figures are those of the sample; for everybody multiply sums by "
        f"{ALL / backtest.share:.1f}."
    )
