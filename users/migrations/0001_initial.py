import core.models
import django.core.validators
from core.migration_operations import bump_revision_on_change
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ("core", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name='Attribute',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('active', 'Active'), ('archived', 'Archived')], default='active', editable=False, max_length=16)),
                ('created', models.DateTimeField(auto_now_add=True)),
                ('updated', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=255)),
                ('key', models.CharField(max_length=255, validators=[django.core.validators.RegexValidator('\\A[a-zA-Z0-9_-]+\\Z', 'must have only letters, digits, hyphens and underscores.')])),
                ('type', models.CharField(choices=[('user', 'User'), ('event', 'Event')], max_length=8)),
            ],
            options={
                'ordering': ('created', 'id'),
                'abstract': False,
                'constraints': [models.UniqueConstraint(condition=models.Q(('status', 'archived'), _negated=True), fields=('type', 'key'), name='users_attribute_key_unique', violation_error_message='Key already in use by another attribute of this type.')],
            },
        ),
        migrations.CreateModel(
            name='EndUser',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('external_id', models.CharField(db_collation='C', help_text="The product's id of the user.", max_length=255, verbose_name='ID')),
                ('name', models.CharField(blank=True, max_length=255, null=True)),
                ('email', models.CharField(blank=True, max_length=254, null=True)),
                ('tz', models.CharField(blank=True, max_length=64, null=True, verbose_name='time zone')),
                ('attributes', models.JSONField(blank=True, default=dict)),
                ('device_tokens', models.JSONField(blank=True, null=True)),
                ('subscribe_to_emails', models.BooleanField(default=True)),
                ('sign_up_date', models.DateField(blank=True, null=True)),
                ('control', models.BooleanField(default=False, verbose_name='control group')),
                ('created', models.DateTimeField()),
                ('updated', models.DateTimeField()),
            ],
            options={
                'verbose_name': 'user',
                'constraints': [models.UniqueConstraint(fields=('external_id',), name='users_enduser_external_id_unique'), models.CheckConstraint(condition=models.Q(('external_id', ''), _negated=True), name='users_enduser_external_id_not_empty')],
            },
        ),
        bump_revision_on_change("users_attribute"),
    ]
