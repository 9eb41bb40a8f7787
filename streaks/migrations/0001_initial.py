import core.models
import django.core.validators
import django.db.models.deletion
from decimal import Decimal
from core.migration_operations import bump_revision_on_change, leave_room_for_updates
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('metrics', '0002_metricday'),
        ('users', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Streak',
            fields=[
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='+', serialize=False, to='users.enduser')),
                ('frequency', models.CharField(choices=[('daily', 'Daily'), ('weekly', 'Weekly'), ('monthly', 'Monthly')], max_length=8)),
                ('length', models.PositiveIntegerField()),
                ('started', models.DateField(null=True)),
                ('period', models.DateField(help_text='The first day of the last period that counted.', null=True)),
                ('extended', models.DateTimeField(null=True)),
                ('amounts', models.JSONField(default=dict)),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('length__gte', 1)), fields=['frequency', 'period'], name='streaks_streak_running')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('extended__isnull', True), ('length', 0), ('period__isnull', True), ('started__isnull', True)), models.Q(('extended__isnull', False), ('length__gte', 1), ('period__isnull', False), ('started__isnull', False)), _connector='OR'), name='streaks_streak_none_or_whole')],
            },
        ),
        migrations.CreateModel(
            name='StreakPeriod',
            fields=[
                ('pk', models.CompositePrimaryKey('user_id', 'frequency', 'period', blank=True, editable=False, primary_key=True, serialize=False)),
                ('frequency', models.CharField(choices=[('daily', 'Daily'), ('weekly', 'Weekly'), ('monthly', 'Monthly')], max_length=8)),
                ('period', models.DateField(help_text='Its first day.')),
                ('length', models.PositiveIntegerField()),
                ('extended', models.DateTimeField()),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='users.enduser')),
            ],
        ),
        migrations.CreateModel(
            name='StreakSettings',
            fields=[
                ('id', models.SmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ('frequency', models.CharField(choices=[('daily', 'Daily'), ('weekly', 'Weekly'), ('monthly', 'Monthly')], default='daily', help_text="A change starts every streak anew at the user's next event.", max_length=8)),
                ('evaluation_mode', models.CharField(choices=[('OR', 'Any of the metrics'), ('AND', 'All of the metrics')], default='OR', max_length=4, verbose_name='a period counts with')),
                ('updated', models.DateTimeField(auto_now=True)),
            ],
            options={
                'verbose_name': 'streak settings',
                'verbose_name_plural': 'streak settings',
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='streaks_streaksettings_one_row')],
            },
        ),
        migrations.CreateModel(
            name='StreakMetric',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('threshold', models.DecimalField(decimal_places=9, default=Decimal('1'), help_text='How much of it in one period is enough.', max_digits=24, validators=[django.core.validators.MinValueValidator(Decimal('1E-9'), message='must be greater than 0.')])),
                ('metric', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='streak_metrics', to='metrics.metric')),
                ('settings', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='metrics', to='streaks.streaksettings')),
            ],
            options={
                'ordering': ('id',),
                'constraints': [models.UniqueConstraint(fields=('metric',), name='streaks_streakmetric_metric_unique', violation_error_message='Each metric can be named only once.'), models.CheckConstraint(condition=models.Q(('threshold__gt', 0)), name='streaks_streakmetric_threshold_positive')],
            },
        ),
        bump_revision_on_change("streaks_streaksettings"),
        bump_revision_on_change("streaks_streakmetric"),
        leave_room_for_updates("streaks_streak"),
    ]
