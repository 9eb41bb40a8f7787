"""The pages that show more than one app."""

from django.contrib import admin
from django.contrib.auth.models import Group, User

from achievements.models import Achievement
from backoffice.achievement_pages import ActivatedAchievementAdmin
from backoffice.operators import OperatorAdmin, RoleAdmin
from backoffice.points_systems import PointsSystemAdmin
from backoffice.users import EndUserAdmin
from points.models import PointsSystem
from users.models import EndUser

admin.site.register(PointsSystem, PointsSystemAdmin)
admin.site.register(EndUser, EndUserAdmin)
admin.site.register(Achievement, ActivatedAchievementAdmin)

admin.site.unregister((User, Group))
admin.site.register(User, OperatorAdmin)
admin.site.register(Group, RoleAdmin)
