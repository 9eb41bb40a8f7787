"""A user's ledger in the admin: filtered, page by page from a line on, and as a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, TypedDict
from urllib.parse import urlencode

from django import forms
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from backoffice.user_cards import Table, decimal_text, moment
from core.form_fields import DayField
from core.json import plain_number
from points.models import AwardCause, PointsAward, PointsBalance, PointsSystem
from points.store import applied_boosts
from points.versions import recall_rules
from users.models import EndUser

PAGE_LENGTH: Final = 25
LINK: Final = "text-primary-600 dark:text-primary-500"
_NAMED_BY_LINES: Final = ("system", "adjustment", "event__metric")


class DayInput(UnfoldAdminTextInputWidget):
    """Asks for a day, with the browser's own calendar."""

    input_type = "date"


class LedgerFilterForm(forms.Form):
    """What of a ledger to show, as the page's address says it. Days are UTC's, as the ledger's times are."""

    cause = forms.ChoiceField(
        label="Cause",
        required=False,
        choices=[("", "All causes"), *AwardCause.choices],
        widget=UnfoldAdminSelectWidget(),
    )
    since = DayField(label="From (UTC)", required=False, widget=DayInput())
    until = DayField(label="To (UTC)", required=False, widget=DayInput())
    before = forms.UUIDField(required=False, widget=forms.HiddenInput())
    after = forms.UUIDField(required=False, widget=forms.HiddenInput())
    field_order = ("system", "cause", "since", "until")

    def __init__(self, systems: Mapping[str, PointsSystem], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.systems = systems
        named = [(key, system.name) for key, system in systems.items()]
        self.fields["system"] = forms.ChoiceField(
            label="Points system",
            required=False,
            choices=[("", "All points systems"), *named],
            widget=UnfoldAdminSelectWidget(),
        )
        self.order_fields(self.field_order)

    def clean(self) -> dict[str, Any]:
        """Refuse a range that ends before it begins."""
        data = super().clean() or {}
        since, until = data.get("since"), data.get("until")
        if since and until and until < since:
            self.add_error("until", "To must not be before From.")
        return data


@dataclass(frozen=True, slots=True)
class LedgerFilter:
    """A valid filter. `before` and `after` are lines that the page is next to."""

    system: PointsSystem | None
    cause: str
    since: datetime | None
    until: datetime | None
    before: Any
    after: Any
    address: Mapping[str, str]


class LedgerPage(TypedDict):
    """A page of the ledger, the newest lines first; `older` and `newer` are the addresses of the pages beside it."""

    title: str
    table: Table
    older: str
    newer: str
    export: str
    is_filtered: bool


def systems_of(user: EndUser) -> dict[str, PointsSystem]:
    """Return the systems that the user has a balance in, by what the address calls them: the key, if it says which.

    An archived system may have the key of another one.
    """
    balances = PointsBalance.objects.filter(user_id=user.id).select_related("system").order_by("system_id")
    systems = [balance.system for balance in balances]
    keys = [system.key for system in systems]
    return {system.key if keys.count(system.key) == 1 else str(system.id): system for system in systems}


def filter_of(form: LedgerFilterForm) -> LedgerFilter:
    """Return what the form asks for; of one with an error nothing is left out."""
    data: dict[str, Any] = form.cleaned_data if form.is_valid() else {}
    since, until = data.get("since"), data.get("until")
    given = {name: str(data[name]) for name in ("system", "cause", "since", "until") if data.get(name)}
    return LedgerFilter(
        system=form.systems.get(data.get("system") or ""),
        cause=data.get("cause") or "",
        since=datetime.combine(since, time(), UTC) if since else None,
        until=datetime.combine(until, time(), UTC) + timedelta(days=1) if until else None,
        before=data.get("before"),
        after=data.get("after"),
        address=given,
    )


def lines_of(user: EndUser, asked: LedgerFilter) -> QuerySet[PointsAward]:
    """Return the lines that pass the filter, in no order."""
    conditions = Q(user=user)
    if asked.system is not None:
        conditions &= Q(system=asked.system)
    if asked.cause:
        conditions &= Q(cause=asked.cause)
    if asked.since is not None:
        conditions &= Q(created__gte=asked.since)
    if asked.until is not None:
        conditions &= Q(created__lt=asked.until)
    return PointsAward.objects.filter(conditions)


def ledger_page(user: EndUser, asked: LedgerFilter) -> LedgerPage:
    """Return the page of the ledger that is asked for, found by the line next to it and not by counting lines."""
    lines = lines_of(user, asked)
    mark = PointsAward.objects.filter(user=user, id=asked.after or asked.before).first()
    goes_back = bool(asked.after) and mark is not None
    if mark is not None:
        lines = lines.filter(_beside(mark, asked, newer=goes_back))
    found = list(
        lines.order_by(*_order(asked, newest_first=not goes_back)).values_list("id", flat=True)[: PAGE_LENGTH + 1]
    )
    ids = found[:PAGE_LENGTH][:: -1 if goes_back else 1]
    has_more = len(found) > PAGE_LENGTH
    shown = _in_order(ids)
    older = has_more if not goes_back else True
    newer = has_more if goes_back else mark is not None
    query = urlencode(asked.address)
    export = reverse("admin:users_enduser_ledger", args=(user.id,))
    return {
        "title": f"{asked.system.name} ledger" if asked.system else "Ledger",
        "table": _table(user, shown, is_of_one=asked.system is not None),
        "older": _address(asked, before=shown[-1]) if older and shown else "",
        "newer": _address(asked, after=shown[0]) if newer and shown else "",
        "export": f"{export}?{query}" if query else export,
        "is_filtered": bool(asked.address),
    }


def _order(asked: LedgerFilter, *, newest_first: bool) -> list[str]:
    """Return the order of lines: by their number in a system; of several systems by time."""
    names = ["seq"] if asked.system else ["created", "seq", "id"]
    return [f"-{name}" for name in names] if newest_first else names


def _beside(mark: PointsAward, asked: LedgerFilter, *, newer: bool) -> Q:
    """Return the condition for the lines on one side of `mark`, in the order above."""
    side = "gt" if newer else "lt"
    if asked.system:
        return Q(**{f"seq__{side}": mark.seq})
    same_time = Q(created=mark.created)
    return (
        Q(**{f"created__{side}": mark.created})
        | same_time & Q(**{f"seq__{side}": mark.seq})
        | same_time & Q(seq=mark.seq, **{f"id__{side}": mark.id})
    )


def _in_order(ids: Sequence[Any]) -> list[PointsAward]:
    """Return these lines with all that names them: looked up for the few alone, whatever the order cost."""
    lines = PointsAward.objects.select_related(*_NAMED_BY_LINES).in_bulk(ids)
    return recall_rules([lines[id_] for id_ in ids])


def _address(asked: LedgerFilter, **beside: PointsAward) -> str:
    places = {name: str(award.id) for name, award in beside.items()}
    return f"?{urlencode({**asked.address, **places})}#ledger"


def _table(user: EndUser, lines: Sequence[PointsAward], *, is_of_one: bool) -> Table:
    headers = ["#", "When (UTC)", *([] if is_of_one else ["System"]), "Why", "Event", "Points", "Balance", "Explained"]
    rows = []
    for award in lines:
        system = [] if is_of_one else [award.system.name]
        rows.append(
            [
                f"{award.seq:,}",
                moment(award.created),
                *system,
                why(award),
                _event(award),
                points_text(award),
                f"{award.total:,}",
                _explained(user, award),
            ]
        )
    return {"headers": headers, "rows": rows}


def points_text(award: PointsAward) -> str:
    """Return what moved, green or red."""
    colour = "text-green-700 dark:text-green-400" if award.awarded > 0 else "text-red-700 dark:text-red-400"
    return format_html("<span class='font-semibold {}'>{}</span>", colour, f"{award.awarded:+,}")


def why(award: PointsAward) -> str:
    """Return why points moved, in a line or two: by the rule as it was, which the award was given by `recall_rules`."""
    if award.cause == AwardCause.ADJUSTMENT:
        by, reason = award.adjustment.operator, award.adjustment.reason
        return format_html("<span>Adjustment: {}<br><span class='text-xs'>by {}</span></span>", reason, by)
    if award.trigger is None:
        return str(award.get_cause_display())
    page = reverse("admin:points_pointstrigger_change", args=(award.trigger_id,))
    trigger = format_html("<a class='{}' href='{}'>{}</a>", LINK, page, award.trigger)
    boosts = format_html_join(", ", "{} x{}", _boosts_of(award))
    if not boosts:
        return trigger
    return format_html("<span>{}<br><span class='text-xs'>boosted by {}</span></span>", trigger, boosts)


def _boosts_of(award: PointsAward) -> list[tuple[str, Any]]:
    return [(boost.name, plain_number(boost.multiplier)) for boost in applied_boosts(award)]


def _event(award: PointsAward) -> str:
    event = award.event
    return "" if event is None else f"{'+' if event.value > 0 else ''}{decimal_text(event.value)} {event.metric.name}"


def award_address(user_id: Any, award_id: Any) -> str:
    """Return the address at which an award is explained: it never changes."""
    return reverse("admin:users_enduser_award", args=(user_id, award_id))


def _explained(user: EndUser, award: PointsAward) -> str:
    label = f"Explain line {award.seq:,}: {award.awarded:+,} {award.system.name}"
    link = "<a class='font-medium {}' href='{}' aria-label='{}'>Explain</a>"
    return format_html(link, LINK, award_address(user.id, award.id), label)
