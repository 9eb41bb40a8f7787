"""Who changed which rule, from what to what: django-simple-history's tables, written by one statement for many rows.

The library writes a record for each instance that is saved, as the instance is in memory, and nothing for
`QuerySet.update`. Here every road ends in `record`, which copies rows as the database has them, in the transaction of
the change: a save, a deletion, an update and a creation in bulk. A change that changes nothing leaves no record.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar
from uuid import UUID

import uuid_utils
from django.db import connection, models, transaction
from django.utils import timezone
from simple_history.models import HistoricalRecords

ACTOR_LENGTH_MAX: Final = 400
REASON_LENGTH_MAX: Final = 100
SYSTEM: Final = "Pointsmith"
"""Who does what nobody asked for: the clock, the sender of webhooks."""

NUMBERS: Final = "core_change_numbers"
"""The sequence that numbers the records of all tables, in the order of time."""

UNTRACKED: Final = frozenset(
    (
        *("created", "updated"),
        # What follows from a change that is recorded, or from the clock.
        *("time_started", "restored", "activated", "start_marked", "end_marked", "starts_after"),
    )
)
"""The fields that are no decisions of anybody."""

CREATED, CHANGED, DELETED = "+", "~", "-"

Row = TypeVar("Row", bound=models.Model)


# --- Who --------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, as it is shown; an operator also by the id of the account."""

    name: str
    user_id: int | None = None


@dataclass(slots=True)
class _Act:
    """What somebody does at once: a request, a command. `who` is asked only where something is recorded."""

    who: Callable[[], Actor]
    id: UUID = field(default_factory=lambda: UUID(str(uuid_utils.uuid7())))


_act: ContextVar[_Act | None] = ContextVar("act", default=None)


@contextmanager
def acting(who: str | Callable[[], Actor]) -> Iterator[None]:
    """Let all that is changed inside be by `who`, and shown as one change of each row."""
    token = _act.set(_Act(_asked(who)))
    try:
        yield
    finally:
        _act.reset(token)


def act_as(who: str) -> None:
    """Say who it is, once that is known, that acts here already; outside of `acting` it does nothing."""
    act = _act.get()
    if act is not None:
        act.who = _asked(who)


def _asked(who: str | Callable[[], Actor]) -> Callable[[], Actor]:
    return who if callable(who) else lambda: Actor(who)


# --- The tables -------------------------------------------------------------------------------------------------------
class Recorded(models.Model):
    """What a record has beside the library's fields: who, in words that outlive the account, and in which act."""

    actor = models.CharField(max_length=ACTOR_LENGTH_MAX)
    act = models.UUIDField()

    class Meta:
        abstract = True


class History(HistoricalRecords):
    """The history of a model of configuration.

    `excluded` are fields that are never copied: secrets, hashes. `part_of` is the reference to the row that a part
    belongs to, in whose history it is shown. `in_words` says how to show a field's value, `part_in_words` how a part;
    `verbs` how a change of the status is called, by the new status, where it is not called as usual.
    """

    model: type[models.Model]

    def __init__(
        self,
        *,
        excluded: Collection[str] = (),
        part_of: str = "",
        in_words: Mapping[str, Callable[[Any], str]] | None = None,
        part_in_words: Callable[[Any], str] = str,
        verbs: Mapping[Any, str] | None = None,
    ) -> None:
        super().__init__(bases=(Recorded,), history_id_field=models.BigIntegerField())
        self.hidden = UNTRACKED | set(excluded)
        self.part_of = part_of
        self.in_words = in_words or {}
        self.part_in_words = part_in_words
        self.verbs = verbs or {}

    def create_history_model(self, model: type[models.Model], inherited: bool) -> type[models.Model]:
        """Make the table: references without indexes, since records are found by the row that they are of."""
        concrete = model._meta.concrete_fields
        self.excluded_fields = [each.name for each in concrete if each.name in self.hidden]
        self.model = model
        model.recording = self  # type: ignore[attr-defined]
        records: type[models.Model] = super().create_history_model(model, inherited)
        return records

    def copy_fields(self, model: type[models.Model]) -> dict[str, Any]:
        """Keep collations, which texts must share to be compared, and find the records of a row by its key."""
        fields: dict[str, Any] = super().copy_fields(model)
        for original in model._meta.concrete_fields:
            if (copied := fields.get(original.name)) is not None:
                if hasattr(original, "db_collation"):
                    copied.db_collation = original.db_collation
                copied.db_index = original.primary_key or original.name == self.part_of
        return fields

    def get_meta_options(self, model: type[models.Model]) -> dict[str, Any]:
        """Order by the number, and make no permissions: who may see a row may see its history."""
        newest = {"ordering": ("-history_id",), "get_latest_by": "history_id", "default_permissions": ()}
        return {**super().get_meta_options(model), **newest}

    def post_save(self, instance: models.Model, created: bool, using: str | None = None, **options: Any) -> None:
        """Record a row that was saved, if what was written is tracked at all."""
        written = options.get("update_fields")
        if created or written is None or self.is_tracked(written):
            record(type(instance), [instance.pk], CREATED if created else CHANGED)

    def pre_delete(self, instance: models.Model, **_: Any) -> None:
        """Record a row as it is just before it goes."""
        record(type(instance), [instance.pk], DELETED)

    def post_delete(self, instance: models.Model, using: str | None = None, **_: Any) -> None:
        """Do nothing: by now there is no row to copy."""

    def is_tracked(self, names: Iterable[str]) -> bool:
        """Tell whether one of these fields, by their names or columns, is recorded."""
        return any(each.name in names or each.attname in names for each in self.fields_included(self.model))


# --- Recording --------------------------------------------------------------------------------------------------------
def record(model: type[models.Model], keys: Collection[Any], type_: str, *, reason: str = "") -> None:
    """Copy the rows with these keys into the history, but for those in which nothing changed since the last record.

    With a `reason`, which is what an act is called that shows in no field, they are copied all the same. Runs in the
    transaction of the change.
    """
    if not keys:
        return
    act = _act.get() or _Act(_asked(SYSTEM))
    actor = act.who()
    values: dict[str, Any] = {"keys": list(keys), "type": type_, "reason": reason, "at": timezone.now(), "act": act.id}
    values |= {"actor": actor.name[:ACTOR_LENGTH_MAX], "user": actor.user_id}
    with connection.cursor() as cursor:
        cursor.execute(_statement(model), values)


def note(row: models.Model, reason: str) -> None:
    """Record what was done to a row that shows in no field, such as a new secret."""
    record(type(row), [row.pk], CHANGED, reason=reason)


def _statement(model: type[models.Model]) -> str:
    records = history_of(model)
    quote = connection.ops.quote_name
    columns = [quote(each.column) for each in recording_of(model).fields_included(model)]
    key = quote(str(model._meta.pk and model._meta.pk.column))
    old, new = (", ".join(f"{alias}.{column}" for column in columns) for alias in ("last", "t"))
    return f"""
INSERT INTO {quote(records._meta.db_table)} (
    {", ".join(columns)}, history_id, history_date, history_type, history_change_reason, history_user_id, actor, act
)
SELECT {new}, nextval('{NUMBERS}'), %(at)s::timestamptz, %(type)s::text, nullif(%(reason)s::text, ''),
       %(user)s::int, %(actor)s::text, %(act)s::uuid
FROM {quote(model._meta.db_table)} t
LEFT JOIN LATERAL (
    SELECT * FROM {quote(records._meta.db_table)} h WHERE h.{key} = t.{key} ORDER BY h.history_id DESC LIMIT 1
) last ON true
WHERE t.{key} = ANY(%(keys)s)
  AND (%(type)s::text <> '{CHANGED}' OR %(reason)s::text <> '' OR ROW({new}) IS DISTINCT FROM ROW({old}))
"""


def recording_of(model: type[models.Model]) -> History:
    """Return how a model of configuration is recorded."""
    found: History = model.recording  # type: ignore[attr-defined]
    return found


def history_of(model: type[models.Model]) -> type[models.Model]:
    """Return the model of the records of a model of configuration."""
    found: type[models.Model] = model.history.model  # type: ignore[attr-defined]
    return found


class TrackedQuerySet(models.QuerySet[Row]):
    """Rows whose changes are recorded, also those of many rows by one statement."""

    def update(self, **fields: Any) -> int:
        """Update and record the rows, in one transaction; return how many."""
        if not recording_of(self.model).is_tracked(fields):
            return super().update(**fields)
        with transaction.atomic():
            keys = self._lock()
            count = models.QuerySet.update(self.filter(pk__in=keys), **fields)
            record(self.model, keys, CHANGED)
        return count

    def bulk_create(self, objs: Iterable[Row], *args: Any, **options: Any) -> list[Row]:
        """Store and record the rows, in one transaction."""
        with transaction.atomic():
            rows = super().bulk_create(objs, *args, **options)
            record(self.model, [row.pk for row in rows], CREATED)
        return rows

    def _lock(self) -> list[Any]:
        """Lock the rows and return their keys.

        A second look at the conditions, behind the lock, leaves out what another change took meanwhile, as one UPDATE
        would.
        """
        rows = self.model._base_manager.filter(pk__in=self.order_by().values("pk")).order_by("pk")
        locked = list(rows.select_for_update(no_key=True).values_list("pk", flat=True))
        return list(self.filter(pk__in=locked).order_by().values_list("pk", flat=True))


class TrackedManager(models.Manager[Row]):
    """Finds such rows."""

    def get_queryset(self) -> TrackedQuerySet[Row]:
        """Return all rows."""
        return TrackedQuerySet(self.model, using=self._db)


class Tracked(models.Model):
    """A row whose changes are recorded; a model that derives from it says how by its `history`."""

    recording: ClassVar[History]

    if not TYPE_CHECKING:  # where Django's own manager says of which model the rows are
        objects = TrackedManager()

    class Meta:
        abstract = True

    @transaction.atomic
    def save(self, *args: Any, **options: Any) -> None:
        """Save the row and record it, or neither."""
        super().save(*args, **options)
