import django.core.validators
import django.db.models.deletion
from core.migration_operations import leave_room_for_updates
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('achievements', '0001_initial'),
        ('metrics', '0002_metricday'),
        ('points', '0001_initial'),
        ('users', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='PointsDay',
            fields=[
                ('pk', models.CompositePrimaryKey('user_id', 'system_id', 'day', blank=True, editable=False, primary_key=True, serialize=False)),
                ('system', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='points.pointssystem')),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='users.enduser')),
                ('day', models.DateField(help_text="The user's local date when the points moved.")),
                ('change', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='TimeTick',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('trigger', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='ticks', to='points.pointstrigger')),
                ('due', models.DateTimeField()),
                ('last_user', models.CharField(db_collation='C', default='', help_text='The last user who was paid.', max_length=255)),
                ('users', models.BigIntegerField(default=0, help_text='How many users were looked at and matched.')),
                ('finished', models.DateTimeField(null=True)),
            ],
        ),
        migrations.AddField(
            model_name='pointssystem',
            name='restored',
            field=models.DateTimeField(editable=False, help_text='When it was brought back from the archive: time triggers count from then.', null=True),
        ),
        migrations.RemoveConstraint(
            model_name='pointstrigger',
            name='points_pointstrigger_fields_of_type',
        ),
        migrations.AddField(
            model_name='pointstrigger',
            name='achievement',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='triggers', to='achievements.achievement'),
        ),
        migrations.AddField(
            model_name='pointstrigger',
            name='streak_length',
            field=models.PositiveIntegerField(blank=True, help_text="Fires each time that the user's streak reaches another multiple of this.", null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(100000)]),
        ),
        migrations.AddField(
            model_name='pointstrigger',
            name='time_interval',
            field=models.PositiveIntegerField(blank=True, help_text='Pays every so many hours or days, counted from the moment of activation.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(10000)]),
        ),
        migrations.AddField(
            model_name='pointstrigger',
            name='time_started',
            field=models.DateTimeField(editable=False, help_text='From when the interval counts: the activation, or its last change.', null=True),
        ),
        migrations.AddField(
            model_name='pointstrigger',
            name='time_unit',
            field=models.CharField(blank=True, choices=[('hour', 'Hours'), ('day', 'Days')], max_length=4, null=True),
        ),
        migrations.AlterField(
            model_name='pointsaward',
            name='cause',
            field=models.CharField(choices=[('metric', 'Metric'), ('streak', 'Streak'), ('achievement', 'Achievement'), ('time', 'Time'), ('user_creation', 'User creation')], max_length=16),
        ),
        migrations.AlterField(
            model_name='pointstrigger',
            name='type',
            field=models.CharField(choices=[('metric', 'Metric'), ('streak', 'Streak'), ('achievement', 'Achievement'), ('time', 'Time'), ('user_creation', 'User creation')], default='metric', max_length=16),
        ),
        migrations.AlterField(
            model_name='triggerfilter',
            name='attribute',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='%(class)ss', to='users.attribute'),
        ),
        migrations.AddConstraint(
            model_name='pointstrigger',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(models.Q(('achievement__isnull', True), ('metric__isnull', False), ('metric_threshold__isnull', False), ('streak_length__isnull', True), ('time_interval__isnull', True), ('time_unit__isnull', True), ('type', 'metric')), models.Q(('achievement__isnull', True), ('metric__isnull', True), ('metric_threshold__isnull', True), ('streak_length__isnull', False), ('time_interval__isnull', True), ('time_unit__isnull', True), ('type', 'streak')), models.Q(('achievement__isnull', False), ('metric__isnull', True), ('metric_threshold__isnull', True), ('streak_length__isnull', True), ('time_interval__isnull', True), ('time_unit__isnull', True), ('type', 'achievement')), models.Q(('achievement__isnull', True), ('metric__isnull', True), ('metric_threshold__isnull', True), ('streak_length__isnull', True), ('time_interval__isnull', False), ('time_unit__isnull', False), ('type', 'time')), models.Q(('achievement__isnull', True), ('metric__isnull', True), ('metric_threshold__isnull', True), ('streak_length__isnull', True), ('time_interval__isnull', True), ('time_unit__isnull', True), ('type', 'user_creation')), _connector='OR'), models.Q(('metric_threshold__isnull', True), ('metric_threshold__gte', 1), _connector='OR')), name='points_pointstrigger_fields_of_type'),
        ),
        migrations.AddConstraint(
            model_name='timetick',
            constraint=models.UniqueConstraint(fields=('trigger', 'due'), name='points_timetick_due_unique'),
        ),
        migrations.AddIndex(
            model_name='timetick',
            index=models.Index(condition=models.Q(('finished__isnull', True)), fields=['due'], name='points_timetick_unfinished'),
        ),
        leave_room_for_updates("points_pointsday"),
        migrations.RunSQL(
            """
            INSERT INTO points_pointsday (user_id, system_id, day, change)
            SELECT a.user_id, a.system_id, (a.created AT TIME ZONE coalesce(u.tz, 'UTC'))::date, sum(a.awarded)
            FROM points_pointsaward a JOIN users_enduser u ON u.id = a.user_id
            GROUP BY 1, 2, 3
            """,
            migrations.RunSQL.noop,
        ),
    ]
