from django.db import migrations, models

TYPES = [
    ('points.changed', 'Points changed'),
    ('points.level_changed', 'Level changed'),
    ('points.boost_started', 'Boost started'),
    ('points.boost_finished', 'Boost finished'),
    ('achievement.completed', 'Achievement completed'),
    ('streak.started', 'Streak started'),
    ('streak.extended', 'Streak extended'),
    ('streak.lost', 'Streak lost'),
    ('endpoint.test', 'Test'),
]

# A delivery's type is its message's for ever: neither changes once it is written.
COPY_TYPES = """
UPDATE webhooks_delivery d SET type = m.type FROM webhooks_outboxmessage m WHERE m.number = d.message_id
"""


class Migration(migrations.Migration):

    dependencies = [
        ('users', '0001_initial'),
        ('webhooks', '0002_delivery'),
    ]

    operations = [
        migrations.AddField(
            model_name='endpoint',
            name='starts_after',
            field=models.BigIntegerField(default=0, editable=False, help_text='The last position that was given before it was made: a feed begins there.'),
        ),
        migrations.AddField(
            model_name='delivery',
            name='type',
            field=models.CharField(choices=TYPES, default='', editable=False, max_length=32),
            preserve_default=False,
        ),
        migrations.RunSQL(COPY_TYPES, migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['endpoint', 'id'], name='webhooks_delivery_endpoint'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['type', 'id'], name='webhooks_delivery_type'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['endpoint', 'type', 'id'], name='webhooks_delivery_of_type'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('status', 'failed')), fields=['id'], name='webhooks_delivery_failed'),
        ),
    ]
