import core.models
import django.core.validators
import django.db.models.deletion
from decimal import Decimal
from core.migration_operations import bump_revision_on_change, leave_room_for_updates
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ("core", "0001_initial"),
        ('users', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Metric',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('active', 'Active'), ('archived', 'Archived')], default='active', editable=False, max_length=16)),
                ('created', models.DateTimeField(auto_now_add=True)),
                ('updated', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=255)),
                ('key', models.CharField(max_length=255, validators=[django.core.validators.RegexValidator('\\A[a-zA-Z0-9_-]+\\Z', 'must have only letters, digits, hyphens and underscores.')])),
                ('unit_type', models.CharField(choices=[('number', 'Number'), ('currency', 'Currency')], default='number', max_length=8)),
                ('units', models.CharField(blank=True, default='', help_text='A label such as «words»; for a currency its ISO 4217 code such as USD.', max_length=64)),
            ],
            options={
                'ordering': ('created', 'id'),
                'abstract': False,
                'constraints': [models.UniqueConstraint(condition=models.Q(('status', 'archived'), _negated=True), fields=('key',), name='metrics_metric_key_unique', violation_error_message='Key already in use by another metric.')],
            },
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('value', models.DecimalField(decimal_places=9, max_digits=24)),
                ('attributes', models.JSONField(blank=True, default=dict)),
                ('idempotency_key', models.CharField(blank=True, max_length=255, null=True)),
                ('kind', models.CharField(choices=[('event', 'Event'), ('opening', 'Opening balance')], default='event', max_length=8)),
                ('at', models.DateTimeField()),
                ('created', models.DateTimeField()),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='users.enduser')),
                ('metric', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='metrics.metric')),
            ],
            options={
                'indexes': [models.Index(fields=['user', 'metric', 'at'], name='metrics_event_user_metric_at')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('idempotency_key__isnull', False)), fields=('user', 'metric', 'idempotency_key'), name='metrics_event_idempotency_key_unique')],
            },
        ),
        migrations.CreateModel(
            name='MetricTotal',
            fields=[
                ('pk', models.CompositePrimaryKey('user_id', 'metric_id', 'filter', blank=True, editable=False, primary_key=True, serialize=False)),
                ('filter', models.CharField(db_collation='C', default='', max_length=500)),
                ('total', models.DecimalField(decimal_places=9, default=Decimal('0'), max_digits=38)),
                ('peak', models.DecimalField(decimal_places=9, default=Decimal('0'), max_digits=38)),
                ('at', models.DateTimeField(help_text='When the newest of its events happened.')),
                ('metric', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='metrics.metric')),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='users.enduser')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('peak__gte', 0), ('peak__gte', models.F('total'))), name='metrics_metrictotal_peak_is_highest')],
            },
        ),
        bump_revision_on_change("metrics_metric"),
        leave_room_for_updates("metrics_metrictotal"),
    ]
