from django.db import migrations

# What each role may do beyond the one before it: the model, and Django's or the project's own permissions on it.
VIEW = {
    'access': ('apikey', 'applicationkey'),
    'achievements': ('achievement', 'achievementfilter', 'achievementprerequisite'),
    'boosts': ('boost', 'boostfilter'),
    'engine': ('queuedevent',),
    'imports': ('importrun',),
    'levels': ('level',),
    'metrics': ('metric', 'event', 'metrictotal'),
    'points': ('pointssystem', 'pointstrigger', 'triggerfilter', 'pointsaward', 'pointsbalance'),
    'streaks': ('streaksettings', 'streakmetric'),
    'users': ('enduser', 'attribute'),
    'webhooks': ('endpoint', 'delivery'),
}
RULES = (
    'users.attribute', 'metrics.metric', 'streaks.streaksettings', 'achievements.achievement', 'points.pointssystem',
    'points.pointstrigger', 'boosts.boost', 'levels.level',
)
PARTS = (
    'achievements.achievementfilter', 'achievements.achievementprerequisite', 'boosts.boostfilter',
    'points.triggerfilter', 'streaks.streakmetric',
)

VIEWER = [
    *((f'{app}.{model}', f'view_{model}') for app, models in VIEW.items() for model in models),
    ('core.configurationrevision', 'view_changes'),
]
SUPPORT = [*VIEWER, ('points.pointsaward', 'adjust_points')]
OPERATOR = [
    *SUPPORT,
    *((model, f'{verb}_{model.split(".")[1]}') for model in RULES for verb in ('add', 'change')),
    *((model, f'{verb}_{model.split(".")[1]}') for model in PARTS for verb in ('add', 'change', 'delete')),
    ('points.pointssystem', 'preview_points'),
    ('engine.queuedevent', 'retry_queuedevent'),
    # Imports: the runs, and what is in the files.
    ('imports.importrun', 'add_importrun'),
    ('users.enduser', 'change_enduser'),
    ('metrics.event', 'add_event'),
]
ADMINISTRATOR = [
    *OPERATOR,
    *((f'access.{model}', f'{verb}_{model}') for model in ('apikey', 'applicationkey') for verb in ('add', 'change')),
    *(('webhooks.endpoint', f'{verb}_endpoint') for verb in ('add', 'change')),
    ('webhooks.delivery', 'replay_delivery'),
    ('engine.queuedevent', 'delete_queuedevent'),
    *((f'auth.{model}', f'{verb}_{model}') for model in ('user', 'group') for verb in ('view', 'add', 'change')),
]
ROLES = {'Viewer': VIEWER, 'Support': SUPPORT, 'Operator': OPERATOR, 'Administrator': ADMINISTRATOR}


def make_roles(apps, editor):
    # Permissions are made after all migrations, so those that are needed here are made as they will be then.
    Group, Permission = apps.get_model('auth', 'Group'), apps.get_model('auth', 'Permission')
    ContentType = apps.get_model('contenttypes', 'ContentType')
    for role, granted in ROLES.items():
        group, _ = Group.objects.get_or_create(name=role)
        for label, codename in granted:
            app, model = label.split('.')
            of, _ = ContentType.objects.get_or_create(app_label=app, model=model)
            name = name_of(apps.get_model(app, model), codename)
            permission, _ = Permission.objects.get_or_create(content_type=of, codename=codename, defaults={'name': name})
            group.permissions.add(permission)


def name_of(model, codename):
    own = dict(model._meta.permissions)
    return own.get(codename) or f'Can {codename.split("_")[0]} {model._meta.verbose_name_raw}'


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
        ('access', '0003_history'),
        ('achievements', '0003_history'),
        ('boosts', '0003_history'),
        ('core', '0003_change_numbers'),
        ('engine', '0002_permissions'),
        ('imports', '0001_initial'),
        ('levels', '0002_history'),
        ('metrics', '0005_history'),
        ('points', '0007_permissions'),
        ('streaks', '0003_history'),
        ('users', '0003_history'),
        ('webhooks', '0005_permissions'),
    ]

    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
