import core.images
import core.models
import django.core.validators
import django.db.models.deletion
from core.migration_operations import bump_revision_on_change
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('points', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Level',
            fields=[
                ('id', models.UUIDField(default=core.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('active', 'Active'), ('archived', 'Archived')], default='active', editable=False, max_length=16)),
                ('created', models.DateTimeField(auto_now_add=True)),
                ('updated', models.DateTimeField(auto_now=True)),
                ('badge', core.images.BadgeField(blank=True, default='', help_text='PNG, JPEG, WebP or GIF, up to 5 MB and 4096 pixels a side.', upload_to='')),
                ('badge_url', models.CharField(blank=True, default='', help_text='Where the badge is hosted elsewhere.', max_length=2000, validators=[django.core.validators.URLValidator(('http', 'https'), message='must be an http:// or https:// address.')], verbose_name='badge address')),
                ('name', models.CharField(max_length=255)),
                ('key', models.CharField(max_length=255, validators=[django.core.validators.RegexValidator('\\A[a-zA-Z0-9_-]+\\Z', 'must have only letters, digits, hyphens and underscores.')])),
                ('description', models.TextField(blank=True, default='', validators=[django.core.validators.MaxLengthValidator(2000)])),
                ('points', models.BigIntegerField(help_text='The total from which on a user has this level.', validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(9007199254740991)])),
                ('system', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='levels', to='points.pointssystem', verbose_name='points system')),
            ],
            options={
                'ordering': ('created', 'id'),
                'abstract': False,
                'constraints': [models.UniqueConstraint(condition=models.Q(('status', 'archived'), _negated=True), fields=('system', 'key'), name='levels_level_key_unique', violation_error_message='Key already in use by another level of this points system.'), models.UniqueConstraint(condition=models.Q(('status', 'archived'), _negated=True), fields=('system', 'points'), name='levels_level_points_unique', violation_error_message='Points already in use by another level of this points system.'), models.CheckConstraint(condition=models.Q(('points__range', (0, 9007199254740991))), name='levels_level_points_in_range')],
            },
        ),
        bump_revision_on_change("levels_level"),
    ]
