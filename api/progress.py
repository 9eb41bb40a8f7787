"""What users reach: streaks, achievements, boosts and levels."""

from typing import Final

from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from achievements.models import AchievementStatus
from achievements.render import (
    AchievementStatsJson,
    UserAchievementStatsJson,
    render_achievement,
    with_stats,
    with_stats_and_achieved_at,
)
from achievements.store import read_completions, shown_achievements
from analytics.store import completion_counts, user_count
from api.authentication import caller
from api.bodies import CompletionBody, read_report, reported_user
from api.errors import rejection
from api.lookups import find_system, find_user, known_ids
from api.openapi import body_of, errors, json_of, whole_number_parameter
from api.parameters import attribute_values, flag, texts, whole_number
from api.scope import check_user
from boosts.render import render_boost
from boosts.rules import BoostPhase
from boosts.store import read_boosts, read_boosts_of
from core.warnings import with_warnings
from engine.coalescing import process_one
from engine.inputs import CompleteInput
from engine.outcomes import Accepted, CompletedBefore, Rejected
from engine.render import CompletionJson, render_completion
from levels.render import LevelJson, render_level
from levels.store import read_levels
from points.render import BoostJson
from streaks.render import (
    BulkStreakJson,
    StreakJson,
    history_starts,
    render_bulk_streak,
    render_streak,
    shown_frequency,
)
from streaks.rules import Streak
from streaks.store import load_rule, read_lengths, read_streaks
from users.models import EndUser
from users.rules import local_date

USERS_MAX: Final = 100
HISTORY_MAX: Final = 400

USER_ATTRIBUTES = OpenApiParameter(
    "userAttributes", str, description="Only what a user with these attributes can get: `plan:pro,country:de`."
)


class UserStreakView(APIView):
    """A user's streak."""

    @extend_schema(
        operation_id="users_streak",
        summary="Get a user's streak",
        parameters=[
            whole_number_parameter("historyPeriods", 0, HISTORY_MAX, 7, "How many periods, the current one included.")
        ],
        responses={200: json_of(StreakJson), **errors(401, 404, 422)},
    )
    def get(self, request: Request, user_id: str) -> Response:
        """Return the user's streak, and how long it was in the periods up to the current one."""
        periods = whole_number(request, "historyPeriods", least=0, most=HISTORY_MAX, default=7)
        user, rule, now = find_user(user_id), load_rule(), timezone.now()
        streak = read_streaks([user], now).get(user.external_id, Streak())
        starts = history_starts(streak, rule, local_date(now, user.tz), periods)
        lengths = read_lengths(user, shown_frequency(streak, rule), starts[0]) if starts else {}
        return Response(render_streak(streak, rule, lengths, starts))


class StreaksView(APIView):
    """The streaks of many users."""

    @extend_schema(
        operation_id="streaks_list",
        summary="Get the streaks of users",
        parameters=[
            OpenApiParameter(
                "userIds",
                str,
                many=True,
                required=True,
                description="Up to 100, also comma-separated; commas in an id are percent-encoded.",
            )
        ],
        responses={200: json_of(list[BulkStreakJson]), **errors(401, 422)},
    )
    def get(self, request: Request) -> Response:
        """Return the streak of each user asked for, in that order; one who is not known has none."""
        key = caller(request).key
        ids = texts(request, "userIds", most=USERS_MAX, whole=lambda texts: known_ids(texts) | {key.external_id})
        check_user(key, *ids)
        streaks = read_streaks(list(EndUser.objects.filter(external_id__in=ids)), timezone.now())
        return Response([render_bulk_streak(id_, streaks.get(id_, Streak())) for id_ in ids])


class AchievementsView(APIView):
    """All achievements."""

    @extend_schema(
        operation_id="achievements_all",
        summary="Get achievements",
        parameters=[USER_ATTRIBUTES],
        responses={200: json_of(list[AchievementStatsJson]), **errors(401, 422)},
    )
    def get(self, request: Request) -> Response:
        """Return the active achievements, each with how many users completed it and what percentage that is."""
        given = attribute_values(request, "userAttributes")
        counts, users = completion_counts(), user_count()
        return Response(
            [
                with_stats(render_achievement(each), counts.get(str(each.id), 0), users)
                for each in shown_achievements().filter(status=AchievementStatus.ACTIVE)
                if given is None or each.is_open_to(given)
            ]
        )


class CompleteView(APIView):
    """An achievement's completion by the product."""

    @extend_schema(
        operation_id="achievements_complete",
        summary="Complete an achievement",
        request=body_of(CompletionBody),
        responses={201: json_of(CompletionJson), **errors(400, 401, 404, 422)},
    )
    def post(self, request: Request, key: str) -> Response:
        """Complete an achievement of type `api` for a user; again, and the answer is the first's without points."""
        body, ignored, unreadable = read_report(request._request.body, CompletionBody)
        check_user(caller(request).key, body.user.id)
        changes = reported_user(body.user, unreadable)
        processed = process_one(CompleteInput(changes, key, api_key_id=caller(request).key.id))
        outcome = processed.outcomes[0]
        if isinstance(outcome, Rejected):
            raise rejection(outcome)
        if not isinstance(outcome, Accepted | CompletedBefore):
            raise TypeError("A completion is accepted, known or rejected.")
        warnings = (*ignored, *outcome.warnings) if isinstance(outcome, Accepted) else ignored
        return Response(with_warnings(render_completion(outcome, processed.book), warnings), status=201)


class UserAchievementsView(APIView):
    """A user's achievements."""

    @extend_schema(
        operation_id="users_achievements",
        summary="Get a user's achievements",
        parameters=[
            OpenApiParameter(
                "includeIncomplete", str, enum=["true"], description="`true` to see those that are still to be had too."
            )
        ],
        responses={200: json_of(list[UserAchievementStatsJson]), **errors(401, 404)},
    )
    def get(self, request: Request, user_id: str) -> Response:
        """Return the user's achievements; if asked, also those not completed yet that are open to the user."""
        user = find_user(user_id)
        done, counts, users = read_completions(user), completion_counts(), user_count()
        include_incomplete = flag(request, "includeIncomplete")
        answer = []
        for each in shown_achievements():
            completion = done.get(str(each.id))
            is_open = each.status == AchievementStatus.ACTIVE and each.is_open_to(user.attributes)
            if completion or (include_incomplete and is_open):
                at = completion.at if completion else None
                answer.append(with_stats_and_achieved_at(render_achievement(each), counts, users, at))
        return Response(answer)


class BoostsView(APIView):
    """The boosts of a points system."""

    @extend_schema(
        operation_id="points_boosts",
        summary="Get a points system's boosts",
        parameters=[
            OpenApiParameter("includeFinished", bool, default=False, description="Whether to list those that are over.")
        ],
        responses={200: json_of(list[BoostJson]), **errors(401, 404)},
    )
    def get(self, request: Request, key: str) -> Response:
        """Return the boosts that are for more than one user, those over only if asked for."""
        now, include_finished = timezone.now(), flag(request, "includeFinished")
        phases = ((boost, boost.phase(now)) for boost in read_boosts(find_system(key)))
        return Response(
            [render_boost(boost, phase) for boost, phase in phases if include_finished or phase != BoostPhase.FINISHED]
        )


class UserBoostsView(APIView):
    """The boosts that a user has in a points system."""

    @extend_schema(
        operation_id="users_points_boosts",
        summary="Get a user's boosts",
        responses={200: json_of(list[BoostJson]), **errors(401, 404)},
    )
    def get(self, request: Request, user_id: str, key: str) -> Response:
        """Return the boosts, scheduled or active, that are for this user, alone or among others."""
        now, user = timezone.now(), find_user(user_id)
        phases = ((boost, boost.phase_of_user(now, user.tz)) for boost in read_boosts_of(find_system(key), user))
        return Response([render_boost(boost, phase) for boost, phase in phases if phase != BoostPhase.FINISHED])


class LevelsView(APIView):
    """The levels of a points system."""

    @extend_schema(
        operation_id="points_levels",
        summary="Get a points system's levels",
        responses={200: json_of(list[LevelJson]), **errors(401, 404)},
    )
    def get(self, request: Request, key: str) -> Response:
        """Return the levels, the lowest first."""
        return Response([render_level(level) for level in read_levels(find_system(key))])


urlpatterns = [
    path("v1/users/<path:user_id>/streak", UserStreakView.as_view()),
    path("v1/streaks", StreaksView.as_view()),
    path("v1/achievements", AchievementsView.as_view()),
    path("v1/achievements/<str:key>/complete", CompleteView.as_view()),
    path("v1/users/<path:user_id>/achievements", UserAchievementsView.as_view()),
    path("v1/points/<str:key>/boosts", BoostsView.as_view()),
    path("v1/users/<path:user_id>/points/<str:key>/boosts", UserBoostsView.as_view()),
    path("v1/points/<str:key>/levels", LevelsView.as_view()),
]
