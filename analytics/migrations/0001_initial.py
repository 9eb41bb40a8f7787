import uuid

from django.db import migrations, models

# What was recorded before there were deltas. Nobody can change anything meanwhile: every change adds to the queue,
# which is locked, and what it has told so far is in the tables. Levels are counted when they are first looked at.
FILL = """
LOCK TABLE core_delta IN EXCLUSIVE MODE;

DELETE FROM core_delta;

INSERT INTO analytics_counter (kind, subject, place, users)
SELECT 'user', '00000000-0000-0000-0000-000000000000', 0, count(*) FROM users_enduser;

INSERT INTO analytics_counter (kind, subject, place, users)
SELECT 'completion', achievement_id, 0, count(*) FROM achievements_completion GROUP BY achievement_id;

-- 1, 2, 3... 10, 11, 21... 91, 101...: one less has the same first digit as the total, then zeros.
INSERT INTO analytics_counter (kind, subject, place, users)
SELECT 'points', system_id, (rpad(left(less_one, 1), length(less_one), '0'))::bigint + 1, count(*)
FROM (SELECT system_id, (total - 1)::text AS less_one FROM points_pointsbalance WHERE total > 0) AS held
GROUP BY 1, 2, 3;
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('achievements', '0001_initial'),
        ('core', '0002_delta'),
        ('points', '0002_every_trigger_type'),
        ('users', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Counter',
            fields=[
                ('pk', models.CompositePrimaryKey('kind', 'subject', 'place', blank=True, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('user', 'All users'), ('completion', 'The users who completed an achievement'), ('points', 'The users with points in a range of totals'), ('level', 'The users on a level')], max_length=16)),
                ('subject', models.UUIDField(default=uuid.UUID(int=0))),
                ('place', models.BigIntegerField(default=0)),
                ('users', models.BigIntegerField()),
            ],
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
