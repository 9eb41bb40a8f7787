"""The Application API but for events: users, their metrics and points."""

from collections import defaultdict
from typing import NotRequired
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from achievements.models import AchievementStatus
from achievements.render import UserAchievementJson, render_achievement, with_achieved_at
from achievements.store import read_completions, shown_achievements
from api.addresses import is_split
from api.authentication import caller
from api.bodies import read_forgiving, user_changes
from api.errors import ApiError, invalid, rejection
from api.lookups import find_metric, find_system, find_user
from api.openapi import body_of, errors, json_of, whole_number_parameter
from api.parameters import whole_number
from api.scope import check_user
from boosts.store import read_phases
from core.warnings import FieldWarning, with_warnings
from engine.coalescing import process_one
from engine.inputs import IdentifyInput
from engine.outcomes import Accepted, Rejected
from levels.render import render_level
from levels.store import level_at, read_levels
from metrics.render import MetricJson, render_metric
from metrics.store import read_metrics, read_totals
from points.render import (
    SystemWithTriggersJson,
    UserPointsJson,
    render_award,
    render_system_with_triggers,
    render_user_points,
)
from points.store import read_balance, read_newest_awards, read_triggers
from users.fields import IdentifiedUser, UserFields
from users.models import EXTERNAL_ID_LENGTH_MAX, EndUser
from users.render import UserJson, render_user
from users.rules import UserChanges
from users.store import read_user, user_of


class ChangedUserJson(UserJson):
    """A user as a call left them."""

    warnings: NotRequired[list[FieldWarning]]


class UsersView(APIView):
    """All users."""

    @extend_schema(
        operation_id="users_create",
        summary="Identify a user",
        request=body_of(IdentifiedUser),
        responses={201: json_of(ChangedUserJson), **errors(400, 401, 422)},
    )
    def post(self, request: Request) -> Response:
        """Make a user known, or change one who is; only the fields given change."""
        body, warnings = read_forgiving(request._request.body, IdentifiedUser)
        check_user(caller(request).key, body.id)
        json = _identify(request, user_changes(body.id, body))
        return Response(with_warnings(json, warnings), status=201)


class UserView(APIView):
    """One user."""

    @extend_schema(
        operation_id="users_get", summary="Get a user", responses={200: json_of(UserJson), **errors(401, 404)}
    )
    def get(self, request: Request, user_id: str) -> Response:
        """Return a user."""
        return Response(render_user(user_of(find_user(user_id))))

    @extend_schema(
        operation_id="users_identify",
        summary="Identify a user by id",
        request=body_of(UserFields),
        responses={200: json_of(ChangedUserJson), **errors(400, 401, 404, 422)},
    )
    def put(self, request: Request, user_id: str) -> Response:
        """Make a user known, or change one who is; only the fields given change."""
        fields, warnings = read_forgiving(request._request.body, UserFields)
        changes = user_changes(_checked(user_id), fields)
        if is_split(request._request, "user_id") and read_user(user_id) is None:
            raise ApiError(
                404,
                f"There is nothing at {request.path_info}. The slashes of a new user's id have to be encoded, as %2F.",
            )
        return Response(with_warnings(_identify(request, changes), warnings))

    @extend_schema(
        operation_id="users_update",
        summary="Update a user",
        request=body_of(UserFields),
        responses={200: json_of(ChangedUserJson), **errors(400, 401, 404, 422)},
    )
    def patch(self, request: Request, user_id: str) -> Response:
        """Change a user who is known; only the fields given change."""
        fields, warnings = read_forgiving(request._request.body, UserFields)
        json = _identify(request, user_changes(_checked(user_id), fields), must_exist=True)
        return Response(with_warnings(json, warnings))


class UserMetricsView(APIView):
    """A user's metrics."""

    @extend_schema(
        operation_id="users_all_metrics",
        summary="Get a user's metrics",
        responses={200: json_of(list[MetricJson]), **errors(401, 404)},
    )
    def get(self, request: Request, user_id: str) -> Response:
        """Return the user's totals of all active metrics, those still at 0 too."""
        user = find_user(user_id)
        totals, achievements = read_totals(user), _achievements_by_metric(user)
        return Response(
            [render_metric(metric, totals.get(metric.id), achievements.get(metric.id, [])) for metric in read_metrics()]
        )


class UserMetricView(APIView):
    """A user's metric."""

    @extend_schema(
        operation_id="users_single_metric",
        summary="Get a user's metric",
        responses={200: json_of(MetricJson), **errors(401, 404)},
    )
    def get(self, request: Request, user_id: str, key: str) -> Response:
        """Return the user's total of one metric."""
        user, metric = find_user(user_id), find_metric(key)
        total = read_totals(user).get(metric.id)
        return Response(render_metric(metric, total, _achievements_by_metric(user).get(metric.id, [])))


class UserPointsView(APIView):
    """A user's points."""

    @extend_schema(
        operation_id="users_points",
        summary="Get a user's points",
        parameters=[whole_number_parameter("awards", 1, 100, 10, "How many of the newest awards to return.")],
        responses={200: json_of(UserPointsJson), **errors(401, 404, 422)},
    )
    def get(self, request: Request, user_id: str, key: str) -> Response:
        """Return what the user holds in a points system, and the newest awards."""
        count = whole_number(request, "awards", least=1, most=100, default=10)
        user, system = find_user(user_id), find_system(key)
        total, awards, level = read_balance(user, system), read_newest_awards(user, system, count), None
        if reached := level_at(read_levels(system), total):
            level = render_level(reached)
        boost_ids = {boost["id"] for award in awards for boost in award.boosts}
        phases = read_phases(boost_ids, timezone.now(), user.tz) if boost_ids else {}
        return Response(render_user_points(system, total, level, [render_award(award, phases) for award in awards]))


class PointsView(APIView):
    """A points system."""

    @extend_schema(
        operation_id="points_system",
        summary="Get a points system",
        responses={200: json_of(SystemWithTriggersJson), **errors(401, 404)},
    )
    def get(self, request: Request, key: str) -> Response:
        """Return a points system and its active triggers."""
        system = find_system(key)
        return Response(render_system_with_triggers(system, read_triggers(system)))


def _checked(external_id: str) -> str:
    if not 1 <= len(external_id) <= EXTERNAL_ID_LENGTH_MAX or "\x00" in external_id:
        raise invalid("The user's id must have 1 to 255 characters, none of them NUL.")
    return external_id


def _achievements_by_metric(user: EndUser) -> dict[UUID, list[UserAchievementJson]]:
    """Return, by the metric's id, the achievements that the user has or can have."""
    done = read_completions(user)
    by_metric: dict[UUID, list[UserAchievementJson]] = defaultdict(list)
    for each in shown_achievements():
        if each.metric_id is None:
            continue
        completion = done.get(str(each.id))
        if completion or (each.status == AchievementStatus.ACTIVE and each.is_open_to(user.attributes)):
            json = with_achieved_at(render_achievement(each), completion.at if completion else None)
            by_metric[each.metric_id].append(json)
    return by_metric


def _identify(request: Request, changes: UserChanges, *, must_exist: bool = False) -> UserJson:
    given = IdentifyInput(changes, must_exist=must_exist, api_key_id=caller(request).key.id)
    outcome = process_one(given).outcomes[0]
    if isinstance(outcome, Rejected):
        raise rejection(outcome)
    if not isinstance(outcome, Accepted):
        raise TypeError("Identifying a user has no replays.")
    return render_user(outcome.user)
