import core.images
import core.models
import django.core.validators
import django.db.models.deletion
from decimal import Decimal
from core.migration_operations import bump_revision_on_change
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('metrics', '0001_initial'),
        ('users', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Achievement',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('created', models.DateTimeField(auto_now_add=True)),
                ('updated', models.DateTimeField(auto_now=True)),
                ('badge', core.images.BadgeField(blank=True, default='', help_text='PNG, JPEG, WebP or GIF, up to 5 MB and 4096 pixels a side.', upload_to='')),
                ('badge_url', models.CharField(blank=True, default='', help_text='Where the badge is hosted elsewhere.', max_length=2000, validators=[django.core.validators.URLValidator(('http', 'https'), message='must be an http:// or https:// address.')], verbose_name='badge address')),
                ('name', models.CharField(max_length=255)),
                ('description', models.TextField(blank=True, default='', validators=[django.core.validators.MaxLengthValidator(2000)])),
                ('type', models.CharField(choices=[('metric', 'Metric'), ('streak', 'Streak'), ('api', 'API'), ('achievement', 'Other achievements')], default='metric', max_length=16, verbose_name='completed by')),
                ('status', models.CharField(choices=[('active', 'Active'), ('inactive', 'Inactive'), ('locked', 'Locked'), ('archived', 'Archived')], default='inactive', editable=False, max_length=16)),
                ('key', models.CharField(blank=True, help_text='What the product completes it by.', max_length=255, null=True, validators=[django.core.validators.RegexValidator('\\A[a-zA-Z0-9_-]+\\Z', 'must have only letters, digits, hyphens and underscores.')])),
                ('metric_value', models.DecimalField(blank=True, decimal_places=9, help_text="Completed when the user's total reaches this.", max_digits=24, null=True, validators=[django.core.validators.MinValueValidator(Decimal('1E-9'), message='must be greater than 0.')])),
                ('streak_length', models.PositiveIntegerField(blank=True, help_text="Completed when the user's streak reaches this length.", null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(100000)])),
                ('metric', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='achievements', to='metrics.metric')),
            ],
            options={
                'ordering': ('created', 'id'),
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='AchievementFilter',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('value', models.CharField(max_length=255)),
                ('achievement', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='filters', to='achievements.achievement')),
                ('attribute', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='%(class)ss', to='users.attribute')),
            ],
            options={
                'ordering': ('attribute__key',),
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='AchievementPrerequisite',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('achievement', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='prerequisites', to='achievements.achievement')),
                ('prerequisite', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='prerequisite_of', to='achievements.achievement')),
            ],
            options={
                'ordering': ('id',),
            },
        ),
        migrations.CreateModel(
            name='Backdating',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('last_user', models.UUIDField(help_text='The last user who was looked at; ids are in time order.', null=True)),
                ('completed', models.BigIntegerField(default=0, help_text='How many users got it.')),
                ('created', models.DateTimeField()),
                ('finished', models.DateTimeField(null=True)),
                ('achievement', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='backdatings', to='achievements.achievement')),
            ],
            options={
                'ordering': ('created', 'id'),
            },
        ),
        migrations.CreateModel(
            name='Completion',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('quiet', models.BooleanField(default=False)),
                ('at', models.DateTimeField()),
                ('achievement', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='completions', to='achievements.achievement')),
                ('event', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='metrics.event')),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='users.enduser')),
            ],
        ),
        migrations.AddConstraint(
            model_name='achievement',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'archived'), _negated=True), fields=('key',), name='achievements_achievement_key_unique', violation_error_message='Key already in use by another achievement.'),
        ),
        migrations.AddConstraint(
            model_name='achievement',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('key__isnull', True), ('metric__isnull', False), ('metric_value__isnull', False), ('streak_length__isnull', True), ('type', 'metric')), models.Q(('key__isnull', True), ('metric__isnull', True), ('metric_value__isnull', True), ('streak_length__isnull', False), ('type', 'streak')), models.Q(('key__isnull', False), ('metric__isnull', True), ('metric_value__isnull', True), ('streak_length__isnull', True), ('type', 'api')), models.Q(('key__isnull', True), ('metric__isnull', True), ('metric_value__isnull', True), ('streak_length__isnull', True), ('type', 'achievement')), _connector='OR'), name='achievements_achievement_fields_of_type'),
        ),
        migrations.AddConstraint(
            model_name='achievementfilter',
            constraint=models.UniqueConstraint(fields=('achievement', 'attribute'), name='achievements_achievementfilter_attribute_unique', violation_error_message='Each attribute can be filtered by only once.'),
        ),
        migrations.AddConstraint(
            model_name='achievementprerequisite',
            constraint=models.UniqueConstraint(fields=('achievement', 'prerequisite'), name='achievements_prerequisite_unique', violation_error_message='Each achievement can be named only once.'),
        ),
        migrations.AddConstraint(
            model_name='achievementprerequisite',
            constraint=models.CheckConstraint(condition=models.Q(('achievement', models.F('prerequisite')), _negated=True), name='achievements_prerequisite_other'),
        ),
        migrations.AddConstraint(
            model_name='completion',
            constraint=models.UniqueConstraint(fields=('user', 'achievement'), name='achievements_completion_once'),
        ),
        bump_revision_on_change("achievements_achievement"),
        bump_revision_on_change("achievements_achievementprerequisite"),
        bump_revision_on_change("achievements_achievementfilter"),
    ]
