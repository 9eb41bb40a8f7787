"""The people who use this admin, and their roles."""

from typing import Any

from django import forms
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminRadioSelectWidget

from backoffice.roles import ABOUT, outranks, permissions_of, roles_given_by
from core.admin import GuardedAdmin

NO_ROLE = "No role"
SUPERUSER = "Superuser"


class RoleField(forms.ModelChoiceField):  # type: ignore[type-arg] # Django's fields take no parameter at run time
    """Asks for a role, and says what each may do."""

    def label_from_instance(self, obj: Any) -> str:
        """Return the name and what it means."""
        return f"{obj.name}: {ABOUT[obj.name]}" if obj.name in ABOUT else str(obj.name)


def role_field() -> RoleField:
    """Return the field, which offers nothing until it is known who asks."""
    return RoleField(
        queryset=Group.objects.none(),
        required=False,
        blank=True,
        empty_label="No role: sees nothing",
        widget=UnfoldAdminRadioSelectWidget,
        help_text="You can give the roles that may do no more than you.",
    )


class OperatorForm(UserChangeForm):
    """An operator's account."""

    request: HttpRequest
    role = role_field()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk == self.request.user.pk:
            del self.fields["role"]
        else:
            self.fields["role"].queryset = roles_given_by(self.request.user)
            self.initial["role"] = self.instance.groups.first()


class NewOperatorForm(UserCreationForm):
    """An account to make."""

    request: HttpRequest
    role = role_field()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].queryset = roles_given_by(self.request.user)


class OperatorAdmin(DjangoUserAdmin, GuardedAdmin):  # type: ignore[type-arg] # as above
    """The people who use this admin: each has a role. Who leaves is switched off, and stays named in histories."""

    form = OperatorForm
    add_form = NewOperatorForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "first_name", "last_name", "email", "shown_role", "is_active", "last_login")
    list_filter = ("is_active", "groups")
    readonly_fields = ("shown_role", "last_login", "date_joined")
    add_fieldsets = ((None, {"fields": ("username", "usable_password", "password1", "password2", "role")}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Bring along everybody's role."""
        queryset: QuerySet[User] = super().get_queryset(request).prefetch_related("groups")
        return queryset

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Ask for what the operator may give: nobody for their own role, none but a superuser for superusers."""
        if obj is None:
            return self.add_fieldsets
        mine = obj.pk == request.user.pk or not self.has_change_permission(request, obj)
        rank = ("is_superuser",) if request.user.is_superuser else ()
        return (
            (None, {"fields": ("username", "password", "first_name", "last_name", "email")}),
            ("Role", {"fields": ("shown_role",) if mine else ("role", *rank, "is_active")}),
            ("Dates", {"fields": ("last_login", "date_joined")}),
        )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Tell the form who asks."""
        form = super().get_form(request, obj, change=change, **kwargs)
        form.request = request  # type: ignore[attr-defined] # a class of this request's own
        return form

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Let everybody who has an account in."""
        obj.is_staff = True
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Give the role, which is the only one."""
        super().save_related(request, form, formsets, change)
        if "role" in form.cleaned_data:
            role = form.cleaned_data["role"]
            form.instance.groups.set([role] if role else [])

    @display(description="Role")
    def shown_role(self, user: User) -> str:
        """Name the role."""
        if user.is_superuser:
            return SUPERUSER
        return ", ".join(sorted(role.name for role in user.groups.all())) or NO_ROLE

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse for who may do more than the operator."""
        is_above = isinstance(obj, User) and outranks(obj, request.user)
        return super().has_change_permission(request, obj) and not is_above

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Leave it to superusers, and not for themselves: others switch accounts off."""
        is_self = obj is not None and obj.pk == request.user.pk
        return bool(request.user.is_superuser) and not is_self


class RoleAdmin(DjangoGroupAdmin, GuardedAdmin):
    """What operators may do."""

    list_display = ("name", "shown_about")

    @display(description="Who has it")
    def shown_about(self, role: Group) -> str:
        """Say what the role means."""
        return ABOUT.get(role.name, "")

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        """Offer what the operator may do, and no more."""
        field: Any = super().formfield_for_manytomany(db_field, request, **kwargs)
        if db_field.name == "permissions" and not request.user.is_superuser:
            field.queryset = field.queryset.filter(pk__in=permissions_of(request.user).values("pk"))
        return field

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse for a role that may do more than the operator."""
        is_above = isinstance(obj, Group) and not roles_given_by(request.user).filter(pk=obj.pk).exists()
        return super().has_change_permission(request, obj) and not is_above

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Leave it to superusers."""
        return bool(request.user.is_superuser)
