"""Boosts on the wire."""

from decimal import Decimal
from typing import NotRequired, TypedDict

from boosts.models import Boost
from boosts.rules import BoostPhase
from core.json import plain_number
from points.render import BoostJson
from users.render import AdminFilterJson, render_admin_filters


class AdminBoostJson(TypedDict):
    """A boost as it was set up; one user's has no filters."""

    id: str
    name: str
    status: str
    start: str
    end: str | None
    multiplier: int | Decimal
    rounding: str
    userId: str | None
    userAttributes: NotRequired[list[AdminFilterJson]]


def render_boost(boost: Boost, phase: BoostPhase) -> BoostJson:
    """Return the wire's shape of a boost."""
    return {
        "id": str(boost.id),
        "name": boost.name,
        "status": phase.value,
        "start": boost.start.isoformat(),
        "end": boost.end.isoformat() if boost.end else None,
        "multiplier": plain_number(boost.multiplier),
        "rounding": boost.rounding,
    }


def render_admin_boost(boost: Boost, phase: BoostPhase) -> AdminBoostJson:
    """Return the Admin API's shape of a boost."""
    json = AdminBoostJson(
        **render_boost(boost, phase),  # type: ignore[typeddict-item] # the filters come below, or not at all
        userId=boost.external_id,
    )
    if boost.external_id is None:
        json["userAttributes"] = render_admin_filters(boost.filters.all())
    return json
