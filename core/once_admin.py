"""Forms of the admin that add a row once: sent again, by a double click or a second try, they lead to the first row."""

from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from core.admin_base import ModelAdmin
from core.models import Submission, new_id
from core.once import SUBMISSION_FIELD, digest_of, find_submission, note_submission, secret_of, token_of
from core.versioned_admin import NotSaved

USED: Final = "Not saved: this form was sent before, with other values, and made «{}». Save again to add another."
GONE: Final = "This form was sent before. What it made is gone."
SHOWN_BEFORE: Final = "This form was sent before, and made «{}». Its secret was shown then, and cannot be shown again."


class OnceAdmin(ModelAdmin):
    """An admin whose forms add once. A form without a token, as a script's, adds each time."""

    def _changeform_view(
        self, request: HttpRequest, object_id: str | None, form_url: str, extra_context: dict[str, Any] | None
    ) -> HttpResponse:
        """Give a form that adds a token, and find what it made before."""
        if object_id is not None:
            changed: HttpResponse = super()._changeform_view(request, object_id, form_url, extra_context)
            return changed
        token, digest = token_of(request), digest_of(request)
        if token and (earlier := self._find_earlier(request, token)):
            if earlier.digest == digest:
                return self._answer_again(request, earlier)
            request.not_saved = NotSaved(USED.format(self._made_by(request, earlier) or "a row"))  # type: ignore[attr-defined]
            token = None
        context = {**(extra_context or {}), "submission_field": SUBMISSION_FIELD, "submission": token or new_id()}
        response: HttpResponse = super()._changeform_view(request, object_id, form_url, context)
        made = getattr(request, "made", None)
        if token and made is not None:
            note_submission(token, digest, request.user, made, secret=getattr(made, "text", ""))
        return response

    def _find_earlier(self, request: HttpRequest, token: UUID) -> Submission | None:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return find_submission(token)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Note which row the form made."""
        request.made = obj  # type: ignore[attr-defined] # for the view above
        return super().log_addition(request, obj, message)

    def _made_by(self, request: HttpRequest, earlier: Submission) -> Any:
        is_of_this = earlier.model == self.opts.label_lower
        return self.get_object(request, earlier.object_id) if is_of_this else None

    def _answer_again(self, request: HttpRequest, earlier: Submission) -> HttpResponse:
        """Answer as the first time, with what was shown once as long as that is kept."""
        row = self._made_by(request, earlier)
        if row is None:
            messages.warning(request, GONE)
            return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))
        row.text = secret_of(earlier, request.user)
        response: HttpResponse = self.response_add(request, row)
        return response
