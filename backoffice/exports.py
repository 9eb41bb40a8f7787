"""What can be exported of users as CSV: django-import-export's resources, but streamed row by row.

The columns are those that the imports take, so that what one installation exports another can import.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from import_export.admin import ExportMixin
from import_export.fields import Field
from import_export.formats.base_formats import CSV
from import_export.resources import Resource
from import_export.widgets import Widget
from unfold.contrib.import_export.forms import ExportForm

from core.csv import CsvValue, csv_response
from core.json import encode_text, iso_instant
from imports.kinds import ATTRIBUTE_PREFIX
from metrics.models import MetricTotal
from metrics.rules import NO_FILTER
from points.models import PointsAward, PointsBalance
from points.versions import recall_rules
from users.models import AttributeType, EndUser
from users.store import load_attribute_keys

_RULES_AT_ONCE: Final = 1000


class PlainWidget(Widget):
    """A value as it is: `core.csv` makes its cell, by whether it is a text or a number."""

    def render(self, value: Any, obj: Any = None, **kwargs: Any) -> CsvValue:
        """Return the value; of what is neither text nor number, its text."""
        return value if value is None or isinstance(value, CsvValue) else str(value)


class _Attribute(Field):
    """One of the users' attributes."""

    def get_value(self, instance: EndUser) -> str | None:
        """Return its value, None where the user has none."""
        value: str | None = instance.attributes.get(self.attribute)
        return value


def _column(attribute: str, column: str) -> Field:
    return Field(attribute, column, widget=PlainWidget())


class _OfUsers(Resource):
    """Rows that belong to users. `title` is what operators choose them by."""

    title: str

    @classmethod
    def get_display_name(cls) -> str:
        """Return the title."""
        return cls.title

    def rows_of(self, users: QuerySet[EndUser]) -> QuerySet[Any]:
        """Return the rows of these users."""
        raise NotImplementedError

    def stream(self, users: QuerySet[EndUser]) -> Iterator[list[CsvValue]]:
        """Yield the header and the rows of these users, which come from the database as they are asked for."""
        return self.stream_rows(self.rows_of(users))

    def stream_rows(self, rows: QuerySet[Any]) -> Iterator[list[CsvValue]]:
        """Yield the header and these rows, in the order that `arranged` gives them."""
        fields = self.get_export_fields()
        yield self.get_export_headers()
        for row in self.iter_queryset(self.arranged(rows)):
            yield [self.export_field(field, row) for field in fields]

    def arranged(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows in their order, with all that a line needs."""
        return rows


class UserResource(_OfUsers):
    """Users with their attributes."""

    title = "Users with their attributes"

    external_id = _column("external_id", "id")
    name = _column("name", "name")
    email = _column("email", "email")
    tz = _column("tz", "tz")
    sign_up_date = _column("sign_up_date", "signUpDate")
    subscribe_to_emails = Field("subscribe_to_emails", "subscribeToEmails")
    device_tokens = Field("device_tokens", "deviceTokens")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for key in sorted(load_attribute_keys()[AttributeType.USER]):
            self.fields[f"{ATTRIBUTE_PREFIX}{key}"] = _Attribute(key, f"{ATTRIBUTE_PREFIX}{key}", widget=PlainWidget())

    def dehydrate_subscribe_to_emails(self, user: EndUser) -> str | None:
        """Say true only of who has an email, since of others it cannot be said."""
        if not user.subscribe_to_emails:
            return "false"
        return "true" if user.email else None

    def dehydrate_device_tokens(self, user: EndUser) -> str | None:
        """Return the tokens as a JSON array."""
        return encode_text(user.device_tokens) if user.device_tokens else None

    def rows_of(self, users: QuerySet[EndUser]) -> QuerySet[EndUser]:
        """Return the users themselves."""
        return users


class TotalResource(_OfUsers):
    """What users did of each metric, in the form of opening balances."""

    title = "Metric totals"

    user = _column("user__external_id", "user")
    metric = _column("metric__key", "metric")
    total = _column("total", "total")

    def rows_of(self, users: QuerySet[EndUser]) -> QuerySet[MetricTotal]:
        """Return the totals of all events, not those of filters, where there was any event."""
        totals = MetricTotal.objects.filter(user__in=_unordered(users), filter=NO_FILTER, at__isnull=False)
        return totals.select_related("user", "metric").order_by("user_id", "metric_id")


class BalanceResource(_OfUsers):
    """What users hold in each points system."""

    title = "Points balances"

    user = _column("user__external_id", "user")
    system = _column("system__key", "system")
    points = _column("total", "points")

    def rows_of(self, users: QuerySet[EndUser]) -> QuerySet[PointsBalance]:
        """Return the balances."""
        balances = PointsBalance.objects.filter(user__in=_unordered(users))
        return balances.select_related("user", "system").order_by("user_id", "system_id")


class LedgerResource(_OfUsers):
    """Every line of the ledger."""

    title = "The ledger of points"

    user = _column("user__external_id", "user")
    system = _column("system__key", "system")
    seq = _column("seq", "line")
    created = _column("created", "at")
    cause = _column("cause", "cause")
    points = _column("awarded", "points")
    total = _column("total", "balance")
    reason = _column("adjustment__reason", "reason")
    operator = _column("adjustment__operator", "operator")
    rule = Field(column_name="rule")

    def dehydrate_rule(self, award: PointsAward) -> str | None:
        """Return the rule in words, as it was when it paid; nothing for an adjustment."""
        return None if award.trigger is None else f"{award.trigger.occasion} · {award.trigger.points:+,}"

    def iter_queryset(self, queryset: QuerySet[PointsAward]) -> Iterator[PointsAward]:
        """Yield the lines with their rules, which are looked up for many at once."""
        lines = super().iter_queryset(queryset)
        while chunk := list(islice(lines, _RULES_AT_ONCE)):
            yield from recall_rules(chunk)

    def dehydrate_created(self, award: PointsAward) -> str:
        """Return the instant in UTC."""
        return iso_instant(award.created)

    def rows_of(self, users: QuerySet[EndUser]) -> QuerySet[PointsAward]:
        """Return the lines."""
        return PointsAward.objects.filter(user__in=_unordered(users))

    def arranged(self, rows: QuerySet[PointsAward]) -> QuerySet[PointsAward]:
        """Return each ledger in its order."""
        return rows.select_related("user", "system", "adjustment").order_by("user_id", "system_id", "seq")


def _unordered(users: QuerySet[EndUser]) -> QuerySet[EndUser]:
    return users.order_by()


class UserExportForm(ExportForm):
    """Asks what to export."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["resource"].label = "What to export"
        self.fields["resource"].help_text = "Of the users in the list: search there first to export only some."


class StreamedExportMixin(ExportMixin):
    """Export by a form that asks what of the users found in the list; who may see them may export them."""

    resource_classes = (UserResource, TotalResource, BalanceResource, LedgerResource)
    export_form_class = UserExportForm
    export_formats = (CSV,)

    def has_export_permission(self, request: HttpRequest) -> bool:
        """Let who may see the list export it."""
        return bool(self.has_view_permission(request))

    def _do_file_export(
        self, file_format: CSV, request: HttpRequest, queryset: QuerySet[EndUser], export_form: Any = None
    ) -> StreamingHttpResponse:
        """Stream, where the library would put all rows into memory first."""
        resource = self.choose_export_resource_class(export_form, request)()
        name = resource.rows_of(queryset).model._meta.model_name
        return csv_response(resource.stream(queryset), f"{name}s-{timezone.now():%Y-%m-%d}.csv")
