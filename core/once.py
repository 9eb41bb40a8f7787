"""Forms that make something once, however often and from however many connections they are sent.

Each form that adds a row carries a token of its own. The first sending notes with the row, in one transaction, that the
token is used; later ones wait for it, and find the row.
"""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from core.concealing import OF_SUBMISSIONS, InvalidToken, conceal, reveal
from core.models import Submission

SUBMISSION_FIELD: Final = "_submission"
"""The name of the hidden input."""
SECRET_KEPT: Final = timedelta(minutes=10)
SUBMISSION_KEPT: Final = timedelta(days=30)
NOT_COMPARED: Final = frozenset((SUBMISSION_FIELD, "csrfmiddlewaretoken", "_save", "_continue", "_addanother"))
"""What may differ between two sendings of the same form."""


def token_of(request: HttpRequest) -> UUID | None:
    """Return the token that a form was sent with, None if it has none, as a script's."""
    try:
        return UUID(request.POST.get(SUBMISSION_FIELD, ""))
    except ValueError:
        return None


def find_submission(token: UUID) -> Submission | None:
    """Return what was noted for a token, after any other request that is working on it. Runs in a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"submission {token}"])
    return Submission.objects.filter(token=token).first()


def note_submission(token: UUID, digest: str, user: Any, row: models.Model, *, secret: str = "") -> None:
    """Note that the form with this token, which `user` sent, made `row`, and what it showed once."""
    Submission.objects.create(
        token=token,
        digest=digest,
        user_id=user.pk,
        model=row._meta.label_lower,
        object_id=str(row.pk),
        secret=conceal(secret, OF_SUBMISSIONS) if secret else "",
        created=timezone.now(),
    )


def secret_of(submission: Submission, user: Any) -> str:
    """Return what the first answer showed once, to whom it was shown; '' if that is too long ago."""
    is_recent = submission.created > timezone.now() - SECRET_KEPT
    if not submission.secret or not is_recent or submission.user_id != user.pk:
        return ""
    try:
        return reveal(submission.secret, OF_SUBMISSIONS)
    except InvalidToken:
        return ""


def digest_of(request: HttpRequest) -> str:
    """Return what stands for all that a form was sent with. It is keyed, because a form may hold a password."""
    seal = salted_hmac("core.once", "", algorithm="sha256")
    for name, values in sorted((name, values) for name, values in request.POST.lists() if name not in NOT_COMPARED):
        seal.update(repr((name, values)).encode())
    for name, files in sorted(request.FILES.lists()):
        for file in files:
            _add_file(seal, name, file)
    return seal.hexdigest()


def _add_file(seal: Any, name: str, file: Any) -> None:
    seal.update(repr((name, file.name, file.size)).encode())
    file.seek(0)
    for chunk in file.chunks():
        seal.update(chunk)
    file.seek(0)


def forget_submissions(now: datetime) -> None:
    """Forget the secrets that were shown some minutes ago, and forms that nobody sends again."""
    Submission.objects.filter(created__lt=now - SECRET_KEPT).exclude(secret="").update(secret="")
    Submission.objects.filter(created__lt=now - SUBMISSION_KEPT).delete()
