import django.db.models.deletion
from core.migration_operations import leave_room_for_updates
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('metrics', '0001_initial'),
        ('users', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='MetricDay',
            fields=[
                ('pk', models.CompositePrimaryKey('user_id', 'metric_id', 'day', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField(help_text="The user's local date when the events happened.")),
                ('change', models.DecimalField(decimal_places=9, max_digits=38)),
                ('metric', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='metrics.metric')),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='users.enduser')),
            ],
        ),
        migrations.AlterField(
            model_name='metrictotal',
            name='at',
            field=models.DateTimeField(help_text='When the newest of its events happened, if there are any.', null=True),
        ),
        leave_room_for_updates("metrics_metricday"),
        migrations.RunSQL(
            """
            INSERT INTO metrics_metricday (user_id, metric_id, day, change)
            SELECT e.user_id, e.metric_id, (e.at AT TIME ZONE coalesce(u.tz, 'UTC'))::date, sum(e.value)
            FROM metrics_event e JOIN users_enduser u ON u.id = e.user_id
            GROUP BY 1, 2, 3
            """,
            migrations.RunSQL.noop,
        ),
    ]
