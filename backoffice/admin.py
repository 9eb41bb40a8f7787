"""The pages that show more than one app."""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from achievements.models import Achievement
from backoffice.achievement_pages import ActivatedAchievementAdmin
from backoffice.points_systems import PointsSystemAdmin
from backoffice.users import EndUserAdmin
from points.models import PointsSystem
from users.models import EndUser

admin.site.register(PointsSystem, PointsSystemAdmin)
admin.site.register(EndUser, EndUserAdmin)
admin.site.register(Achievement, ActivatedAchievementAdmin)

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class OperatorAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg] # Django's classes take no parameter at run time
    """The people who use this admin."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class OperatorGroupAdmin(DjangoGroupAdmin, ModelAdmin):
    """What operators may do."""
