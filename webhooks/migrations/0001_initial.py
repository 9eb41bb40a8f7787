import core.models
import django.db.models.deletion
from core.migration_operations import bump_revision_on_change
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('users', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Endpoint',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('active', 'Active'), ('archived', 'Archived')], default='active', editable=False, max_length=16)),
                ('created', models.DateTimeField(auto_now_add=True)),
                ('updated', models.DateTimeField(auto_now=True)),
                ('url', models.URLField(max_length=2000)),
                ('types', models.JSONField(default=list, help_text='The types of messages that it wants.')),
            ],
            options={
                'ordering': ('created', 'id'),
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='OutboxMessage',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('type', models.CharField(choices=[('points.changed', 'Points changed'), ('points.level_changed', 'Level changed'), ('points.boost_started', 'Boost started'), ('points.boost_finished', 'Boost finished'), ('achievement.completed', 'Achievement completed'), ('streak.started', 'Streak started'), ('streak.extended', 'Streak extended'), ('streak.lost', 'Streak lost')], max_length=32)),
                ('payload', models.JSONField()),
                ('created', models.DateTimeField()),
                ('user', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='users.enduser')),
            ],
        ),
        bump_revision_on_change("webhooks_endpoint"),
    ]
