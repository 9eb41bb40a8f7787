import uuid
from django.db import migrations, models

from core.migration_operations import leave_room_for_updates


class Migration(migrations.Migration):

    dependencies = [
        ('analytics', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='ActiveDay',
            fields=[
                ('day', models.DateField(primary_key=True, serialize=False)),
                ('users', models.BigIntegerField()),
                ('week_firsts', models.BigIntegerField()),
                ('month_firsts', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='BoostDay',
            fields=[
                ('pk', models.CompositePrimaryKey('system_id', 'boost_id', 'day', blank=True, editable=False, primary_key=True, serialize=False)),
                ('system_id', models.UUIDField()),
                ('boost_id', models.UUIDField()),
                ('day', models.DateField()),
                ('awards', models.BigIntegerField()),
                ('awarded', models.DecimalField(decimal_places=0, max_digits=38)),
                ('without', models.DecimalField(decimal_places=4, max_digits=38)),
            ],
        ),
        migrations.CreateModel(
            name='CohortWeek',
            fields=[
                ('week', models.DateField(primary_key=True, serialize=False)),
                ('users', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='EarlyTally',
            fields=[
                ('pk', models.CompositePrimaryKey('system_id', 'week', 'place', blank=True, editable=False, primary_key=True, serialize=False)),
                ('system_id', models.UUIDField()),
                ('week', models.DateField()),
                ('place', models.BigIntegerField()),
                ('users', models.BigIntegerField()),
                ('points', models.DecimalField(decimal_places=0, max_digits=38)),
            ],
        ),
        migrations.CreateModel(
            name='EarnedTally',
            fields=[
                ('pk', models.CompositePrimaryKey('system_id', 'place', blank=True, editable=False, primary_key=True, serialize=False)),
                ('system_id', models.UUIDField()),
                ('place', models.BigIntegerField()),
                ('users', models.BigIntegerField()),
                ('points', models.DecimalField(decimal_places=0, max_digits=38)),
            ],
        ),
        migrations.CreateModel(
            name='EventDay',
            fields=[
                ('pk', models.CompositePrimaryKey('day', 'metric_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('metric_id', models.UUIDField()),
                ('events', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='EventMark',
            fields=[
                ('pk', models.CompositePrimaryKey('user_id', 'metric_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('user_id', models.UUIDField()),
                ('metric_id', models.UUIDField()),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='LedgerMark',
            fields=[
                ('pk', models.CompositePrimaryKey('user_id', 'system_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('user_id', models.UUIDField()),
                ('system_id', models.UUIDField()),
                ('seq', models.BigIntegerField()),
                ('earned', models.DecimalField(decimal_places=0, max_digits=38)),
                ('spent', models.DecimalField(decimal_places=0, max_digits=38)),
                ('early', models.DecimalField(decimal_places=0, max_digits=38)),
                ('peak', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='LevelMark',
            fields=[
                ('pk', models.CompositePrimaryKey('system_id', 'threshold', blank=True, editable=False, primary_key=True, serialize=False)),
                ('system_id', models.UUIDField()),
                ('threshold', models.BigIntegerField()),
                ('upto', models.UUIDField(default=uuid.UUID('00000000-0000-0000-0000-000000000000'))),
            ],
        ),
        migrations.CreateModel(
            name='LevelTally',
            fields=[
                ('pk', models.CompositePrimaryKey('system_id', 'threshold', 'place', blank=True, editable=False, primary_key=True, serialize=False)),
                ('system_id', models.UUIDField()),
                ('threshold', models.BigIntegerField()),
                ('place', models.BigIntegerField()),
                ('users', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='RollUpProgress',
            fields=[
                ('walk', models.CharField(max_length=16, primary_key=True, serialize=False)),
                ('position', models.UUIDField(default=uuid.UUID('00000000-0000-0000-0000-000000000000'))),
                ('completed', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='SystemDay',
            fields=[
                ('pk', models.CompositePrimaryKey('system_id', 'day', 'cause', 'trigger_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('system_id', models.UUIDField()),
                ('day', models.DateField()),
                ('cause', models.CharField(choices=[('metric', 'Metric'), ('streak', 'Streak'), ('achievement', 'Achievement'), ('time', 'Time'), ('user_creation', 'User creation'), ('adjustment', 'Adjustment')], max_length=16)),
                ('trigger_id', models.UUIDField(default=uuid.UUID('00000000-0000-0000-0000-000000000000'))),
                ('awards', models.BigIntegerField()),
                ('awarded', models.DecimalField(decimal_places=0, max_digits=38)),
                ('deducted', models.DecimalField(decimal_places=0, max_digits=38)),
            ],
        ),
        migrations.CreateModel(
            name='TopEarner',
            fields=[
                ('pk', models.CompositePrimaryKey('system_id', 'user_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('system_id', models.UUIDField()),
                ('user_id', models.UUIDField()),
                ('earned', models.DecimalField(decimal_places=0, max_digits=38)),
            ],
        ),
        migrations.CreateModel(
            name='UserMark',
            fields=[
                ('user_id', models.UUIDField(primary_key=True, serialize=False)),
                ('last_day', models.DateField(null=True)),
                ('days', models.BigIntegerField(default=0)),
            ],
        ),
        *(leave_room_for_updates(f"analytics_{table}") for table in ("usermark", "eventmark", "ledgermark")),
    ]
