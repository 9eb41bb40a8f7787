import core.models
import django.core.validators
from core.migration_operations import leave_room_for_updates
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='KeyUse',
            fields=[
                ('key_id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('last_used', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='ApplicationKey',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('active', 'Active'), ('archived', 'Archived')], default='active', editable=False, max_length=16)),
                ('created', models.DateTimeField(auto_now_add=True)),
                ('updated', models.DateTimeField(auto_now=True)),
                ('external_id', models.CharField(db_collation='C', help_text="The product's id of the one user whom the key is for. The user need not be known yet.", max_length=255, validators=[django.core.validators.ProhibitNullCharactersValidator(message='must not contain the NUL character.')], verbose_name='user ID')),
                ('prefix', models.CharField(db_collation='C', editable=False, max_length=12)),
                ('hashed_key', models.CharField(editable=False, max_length=150)),
            ],
            options={
                'verbose_name': 'application key',
                'indexes': [models.Index(fields=['external_id', 'id'], name='access_applicationkey_of_user'), models.Index(fields=['status', 'id'], name='access_applicationkey_newest')],
                'constraints': [models.UniqueConstraint(fields=('prefix',), name='access_applicationkey_prefix_unique'), models.CheckConstraint(condition=models.Q(('external_id', ''), _negated=True), name='access_applicationkey_external_id_not_empty')],
            },
        ),
        leave_room_for_updates("access_keyuse"),
    ]
