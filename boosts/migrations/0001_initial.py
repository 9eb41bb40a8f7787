import core.models
import django.db.models.deletion
from core.migration_operations import bump_revision_on_change, bump_revision_on_change_where
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('points', '0001_initial'),
        ('users', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Boost',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('created', models.DateTimeField(auto_now_add=True)),
                ('updated', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=255)),
                ('status', models.CharField(choices=[('active', 'Active'), ('inactive', 'Inactive'), ('archived', 'Archived')], default='inactive', editable=False, max_length=16)),
                ('start', models.DateField(help_text="Its first day, by each user's own calendar.")),
                ('end', models.DateField(blank=True, help_text="Its last day, by each user's own calendar; empty for no end.", null=True)),
                ('multiplier', models.DecimalField(decimal_places=4, help_text='More than 0, less than 100, not 1. It multiplies awards, never deductions.', max_digits=6)),
                ('rounding', models.CharField(choices=[('down', 'Down'), ('nearest', 'To the nearest, halves up'), ('up', 'Up')], default='down', help_text='Where boosts that apply together disagree: down wins over nearest, nearest over up.', max_length=8)),
                ('external_id', models.CharField(db_collation='C', editable=False, help_text="The product's id of the one user whom it is for; set by the API, maybe before the user is known.", max_length=255, null=True, verbose_name='only for user')),
                ('activated', models.DateTimeField(editable=False, null=True)),
                ('finished', models.DateTimeField(editable=False, help_text='When it was stopped, or its end was marked: final.', null=True)),
                ('start_marked', models.DateTimeField(editable=False, help_text='When its start was made known.', null=True)),
                ('end_marked', models.DateTimeField(editable=False, help_text='When its end was made known.', null=True)),
                ('system', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='boosts', to='points.pointssystem', verbose_name='points system')),
            ],
            options={
                'ordering': ('created', 'id'),
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='BoostFilter',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('value', models.CharField(max_length=255)),
                ('attribute', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='%(class)ss', to='users.attribute')),
                ('boost', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='filters', to='boosts.boost')),
            ],
            options={
                'ordering': ('attribute__key',),
                'abstract': False,
            },
        ),
        migrations.AddIndex(
            model_name='boost',
            index=models.Index(condition=models.Q(('start_marked__isnull', True)), fields=['start'], name='boosts_boost_to_start'),
        ),
        migrations.AddIndex(
            model_name='boost',
            index=models.Index(condition=models.Q(('end_marked__isnull', True)), fields=['end'], name='boosts_boost_to_end'),
        ),
        migrations.AddIndex(
            model_name='boost',
            index=models.Index(condition=models.Q(('end_marked__isnull', True)), fields=['finished'], name='boosts_boost_stopped'),
        ),
        migrations.AddIndex(
            model_name='boost',
            index=models.Index(condition=models.Q(('status', 'active')), fields=['external_id'], name='boosts_boost_of_user'),
        ),
        migrations.AddConstraint(
            model_name='boost',
            constraint=models.CheckConstraint(condition=models.Q(('multiplier__gt', 0), ('multiplier__lt', 100), models.Q(('multiplier', 1), _negated=True)), name='boosts_boost_multiplier_in_range', violation_error_message='The multiplier must be more than 0, less than 100, and not 1.'),
        ),
        migrations.AddConstraint(
            model_name='boost',
            constraint=models.CheckConstraint(condition=models.Q(('end__isnull', True), ('end__gte', models.F('start')), _connector='OR'), name='boosts_boost_ends_after_start', violation_error_message='The end must not be before the start.'),
        ),
        migrations.AddConstraint(
            model_name='boost',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'active'), _negated=True), ('activated__isnull', False), _connector='OR'), name='boosts_boost_active_since'),
        ),
        migrations.AddConstraint(
            model_name='boostfilter',
            constraint=models.UniqueConstraint(fields=('boost', 'attribute'), name='boosts_boostfilter_attribute_unique', violation_error_message='Each attribute can be filtered by only once.'),
        ),
        *bump_revision_on_change_where("boosts_boost", "row.external_id IS NULL"),
        bump_revision_on_change("boosts_boostfilter"),
    ]
