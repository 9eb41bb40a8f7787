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
COPY_TYPE = """
CREATE FUNCTION webhooks_copy_type() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.type := (SELECT m.type FROM webhooks_outboxmessage m WHERE m.number = NEW.message_id);
    RETURN NEW;
END $$;
CREATE TRIGGER webhooks_delivery_copy_type BEFORE INSERT ON webhooks_delivery
FOR EACH ROW EXECUTE FUNCTION webhooks_copy_type();
UPDATE webhooks_delivery d SET type = m.type FROM webhooks_outboxmessage m WHERE m.number = d.message_id;
"""
DO_NOT_COPY_TYPE = """
DROP TRIGGER webhooks_delivery_copy_type ON webhooks_delivery;
DROP FUNCTION webhooks_copy_type();
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
        migrations.RunSQL(COPY_TYPE, DO_NOT_COPY_TYPE),
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
