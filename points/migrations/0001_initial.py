import core.images
import core.models
import django.core.validators
import django.db.models.deletion
from core.migration_operations import bump_revision_on_change, leave_room_for_updates
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ("core", "0001_initial"),
        ('metrics', '0001_initial'),
        ('users', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='PointsSystem',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('active', 'Active'), ('archived', 'Archived')], default='active', editable=False, max_length=16)),
                ('created', models.DateTimeField(auto_now_add=True)),
                ('updated', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=255)),
                ('key', models.CharField(max_length=255, validators=[django.core.validators.RegexValidator('\\A[a-zA-Z0-9_-]+\\Z', 'must have only letters, digits, hyphens and underscores.')])),
                ('description', models.TextField(blank=True, default='', validators=[django.core.validators.MaxLengthValidator(2000)])),
                ('badge', core.images.BadgeField(blank=True, default='', help_text='PNG, JPEG, WebP or GIF, up to 5 MB and 4096 pixels a side.', upload_to='')),
                ('badge_url', models.CharField(blank=True, default='', help_text='Where the badge is hosted elsewhere.', max_length=2000, validators=[django.core.validators.URLValidator(('http', 'https'), message='must be an http:// or https:// address.')], verbose_name='badge address')),
                ('max_points', models.BigIntegerField(blank=True, help_text='The most points that a user can hold; empty for no limit.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(9007199254740991)])),
            ],
            options={
                'ordering': ('created', 'id'),
                'abstract': False,
                'constraints': [models.UniqueConstraint(condition=models.Q(('status', 'archived'), _negated=True), fields=('key',), name='points_pointssystem_key_unique', violation_error_message='Key already in use by another points system.'), models.CheckConstraint(condition=models.Q(('max_points__isnull', True), ('max_points__range', (1, 9007199254740991)), _connector='OR'), name='points_pointssystem_max_points_in_range')],
            },
        ),
        migrations.CreateModel(
            name='PointsTrigger',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('created', models.DateTimeField(auto_now_add=True)),
                ('updated', models.DateTimeField(auto_now=True)),
                ('type', models.CharField(choices=[('metric', 'Metric'), ('user_creation', 'User creation')], default='metric', max_length=16)),
                ('points', models.BigIntegerField(help_text='Negative points are taken away.', validators=[django.core.validators.MinValueValidator(-9007199254740991), django.core.validators.MaxValueValidator(9007199254740991)])),
                ('status', models.CharField(choices=[('active', 'Active'), ('inactive', 'Inactive'), ('archived', 'Archived')], default='inactive', editable=False, max_length=16)),
                ('metric_threshold', models.BigIntegerField(blank=True, help_text="Fires each time that the user's highest total so far passes another multiple of this.", null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(9007199254740991)])),
                ('block_if_out_of_points', models.BooleanField(default=False, help_text='Refuse the event where the user has fewer points than this trigger would take.')),
                ('metric', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='triggers', to='metrics.metric')),
                ('system', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='triggers', to='points.pointssystem', verbose_name='points system')),
            ],
            options={
                'ordering': ('created', 'id'),
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='PointsAward',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('seq', models.BigIntegerField()),
                ('cause', models.CharField(choices=[('metric', 'Metric'), ('user_creation', 'User creation')], max_length=16)),
                ('awarded', models.BigIntegerField()),
                ('total', models.BigIntegerField(help_text='The balance after this award.')),
                ('boosts', models.JSONField(default=list)),
                ('created', models.DateTimeField()),
                ('event', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='metrics.event')),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='users.enduser')),
                ('system', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='points.pointssystem')),
                ('trigger', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='points.pointstrigger')),
            ],
        ),
        migrations.CreateModel(
            name='TriggerFilter',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('value', models.CharField(max_length=255)),
                ('attribute', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='trigger_filters', to='users.attribute')),
                ('trigger', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='filters', to='points.pointstrigger')),
            ],
            options={
                'ordering': ('attribute__key',),
            },
        ),
        migrations.CreateModel(
            name='PointsBalance',
            fields=[
                ('pk', models.CompositePrimaryKey('user_id', 'system_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('total', models.BigIntegerField()),
                ('seq', models.BigIntegerField(help_text="The ledger's last line that it includes.")),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='users.enduser')),
                ('system', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='points.pointssystem')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('total__range', (0, 9007199254740991))), name='points_pointsbalance_total_in_range'), models.CheckConstraint(condition=models.Q(('seq__gte', 1)), name='points_pointsbalance_seq_counts')],
            },
        ),
        migrations.AddConstraint(
            model_name='pointstrigger',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('points', 0), _negated=True), ('points__range', (-9007199254740991, 9007199254740991))), name='points_pointstrigger_points_in_range', violation_error_message='Points must not be 0.'),
        ),
        migrations.AddConstraint(
            model_name='pointstrigger',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('metric__isnull', False), ('metric_threshold__gte', 1), ('type', 'metric')), models.Q(('metric__isnull', True), ('metric_threshold__isnull', True), ('type', 'user_creation')), _connector='OR'), name='points_pointstrigger_fields_of_type'),
        ),
        migrations.AddConstraint(
            model_name='pointstrigger',
            constraint=models.CheckConstraint(condition=models.Q(('block_if_out_of_points', False), models.Q(('points__lt', 0), ('type', 'metric')), _connector='OR'), name='points_pointstrigger_block_takes_points'),
        ),
        migrations.AddConstraint(
            model_name='pointsaward',
            constraint=models.UniqueConstraint(fields=('user', 'system', 'seq'), name='points_pointsaward_seq_unique'),
        ),
        migrations.AddConstraint(
            model_name='pointsaward',
            constraint=models.CheckConstraint(condition=models.Q(('awarded', 0), _negated=True), name='points_pointsaward_moves_points'),
        ),
        migrations.AddConstraint(
            model_name='triggerfilter',
            constraint=models.UniqueConstraint(fields=('trigger', 'attribute'), name='points_triggerfilter_attribute_unique', violation_error_message='Each attribute can be filtered by only once.'),
        ),
        bump_revision_on_change("points_pointssystem"),
        bump_revision_on_change("points_pointstrigger"),
        bump_revision_on_change("points_triggerfilter"),
        leave_room_for_updates("points_pointsbalance"),
    ]
