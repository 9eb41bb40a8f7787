"""Balances and the ledger on the hot path: SQL for many users at once, composed by the pipeline."""

from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

import msgspec
from django.db.models import QuerySet

from core.json import encode_text
from core.models import ConfigurationStatus
from metrics.rules import canonical_filter
from points.models import PointsAward, PointsBalance, PointsSystem, PointsTrigger, TriggerStatus
from points.rules import AppliedBoost, SystemRule, TriggerRule
from points.versions import NO_VERSIONS, Version, recall_rules
from users.models import EndUser

COUNTS_FROM: Final = "greatest(t.time_started, p.restored)"
"""From when a time trigger `t` of the points system `p` counts its interval, as `PointsTrigger.counts_from` says."""

LOAD_BALANCES: Final = """
SELECT k.external_id, b.system_id, b.total, b.seq
FROM known k CROSS JOIN LATERAL (
    SELECT system_id, total, seq FROM points_pointsbalance WHERE user_id = k.id OFFSET 0
) AS b
"""

INSERT_AWARDS: Final = """
INSERT INTO points_pointsaward
    (id, user_id, system_id, seq, trigger_id, rule_version, event_id, cause, awarded, total, boosts, created)
SELECT n.id, n.user_id, n.system_id, n.seq, n.trigger_id, n.rule_version, n.event_id, n.cause, n.awarded, n.total,
       n.boosts, n.created
FROM json_to_recordset(%s) AS n(
    id uuid, user_id uuid, system_id uuid, seq bigint, trigger_id uuid, rule_version bigint, event_id uuid, cause text,
    awarded bigint, total bigint, boosts jsonb, created timestamptz)
"""

INSERT_ADJUSTMENTS: Final = """
INSERT INTO points_pointsadjustment (award_id, reason, operator)
SELECT n.award_id, n.reason, n.operator
FROM json_to_recordset(%s) AS n(award_id uuid, reason text, operator text)
"""

SAVE_BALANCES: Final = """
INSERT INTO points_pointsbalance (user_id, system_id, total, seq)
SELECT n.user_id, n.system_id, n.total, n.seq
FROM json_to_recordset(%s) AS n(user_id uuid, system_id uuid, total bigint, seq bigint)
ON CONFLICT (user_id, system_id) DO UPDATE SET total = excluded.total, seq = excluded.seq
"""


ADD_DAYS: Final = """
INSERT INTO points_pointsday (user_id, system_id, day, change)
SELECT n.user_id, n.system_id, n.day, n.change
FROM json_to_recordset(%s) AS n(user_id uuid, system_id uuid, day date, change bigint)
ON CONFLICT (user_id, system_id, day) DO UPDATE SET change = points_pointsday.change + excluded.change
"""


class BalanceRow(msgspec.Struct, frozen=True):
    """A balance as loaded."""

    external_id: str
    system_id: str
    total: int
    seq: int


_boosts_decoder = msgspec.json.Decoder(list[AppliedBoost])
_decoder = msgspec.json.Decoder(list[BalanceRow])


def decode_balances(rows: str) -> list[BalanceRow]:
    """Return LOAD_BALANCES's rows, a JSON array."""
    return _decoder.decode(rows)


def load_systems() -> list[PointsSystem]:
    """Return every active points system, in the order of creation."""
    return list(PointsSystem.objects.filter(status=ConfigurationStatus.ACTIVE))


def load_triggers() -> list[PointsTrigger]:
    """Return every active trigger of an active system with its metric and filters, in the order of creation."""
    return list(_whole_triggers().filter(status=TriggerStatus.ACTIVE, system__status=ConfigurationStatus.ACTIVE))


def load_trigger(id_: UUID) -> PointsTrigger:
    """Return a trigger, whatever its status, with its points system, metric, achievement and filters."""
    return _whole_triggers().get(id=id_)


def _whole_triggers() -> QuerySet[PointsTrigger]:
    return PointsTrigger.objects.select_related("metric", "achievement", "system").prefetch_related(
        "filters__attribute"
    )


def system_rule(system: PointsSystem, version: int | None = None) -> SystemRule:
    """Return what the rules need of a system."""
    return SystemRule(
        id=str(system.id), key=system.key, name=system.name, max_points=system.max_points, version=version
    )


def trigger_rules(
    triggers: Iterable[PointsTrigger], versions: Mapping[str, Version] = NO_VERSIONS
) -> list[TriggerRule]:
    """Return what the rules need of the triggers, which come in the order of creation."""
    return [_trigger_rule(trigger, order, versions.get(str(trigger.id))) for order, trigger in enumerate(triggers)]


def _trigger_rule(trigger: PointsTrigger, order: int, version: Version | None) -> TriggerRule:
    filters = list(trigger.filters.all())
    return TriggerRule(
        id=str(trigger.id),
        system_id=str(trigger.system_id),
        cause=trigger.type,
        points=trigger.points,
        order=order,
        user_filter=tuple((each.attribute.key, each.value) for each in filters if not each.is_of_event),
        metric_id=str(trigger.metric_id) if trigger.metric_id else None,
        threshold=trigger.metric_threshold or 1,
        event_filter=canonical_filter({each.attribute.key: each.value for each in filters if each.is_of_event}),
        block_if_out_of_points=trigger.block_if_out_of_points,
        streak_length=trigger.streak_length or 1,
        achievement_id=str(trigger.achievement_id) if trigger.achievement_id else None,
        version=version.number if version else None,
    )


def read_system(key: str) -> PointsSystem | None:
    """Return the active points system with this key."""
    active = PointsSystem.objects.filter(status=ConfigurationStatus.ACTIVE)
    return None if "\x00" in key else active.filter(key=key).first()


def read_triggers(system: PointsSystem) -> list[PointsTrigger]:
    """Return the system's active triggers with their metrics and filters, in the order of creation."""
    return list(_whole_triggers().filter(system=system, status=TriggerStatus.ACTIVE))


def read_balance(user: EndUser, system: PointsSystem) -> int:
    """Return what the user holds in the system."""
    balances = PointsBalance.objects.filter(user_id=user.id, system_id=system.id)
    return balances.values_list("total", flat=True).first() or 0


def read_newest_awards(user: EndUser, system: PointsSystem, count: int) -> list[PointsAward]:
    """Return the newest lines of the user's ledger in the system with their rules as they were, the newest first."""
    ledger = PointsAward.objects.filter(user=user, system=system).order_by("-seq")
    return recall_rules(list(ledger[:count]))


def applied_boosts(award: PointsAward) -> list[AppliedBoost]:
    """Return the boosts that multiplied an award, as the ledger keeps them."""
    return _boosts_decoder.decode(encode_text(award.boosts)) if award.boosts else []
