from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('core', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Delta',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('user', 'A user who is new'), ('balance', 'A balance that moved'), ('completion', 'An achievement that was completed')], max_length=16)),
                ('subject', models.UUIDField(null=True)),
                ('before', models.BigIntegerField(null=True)),
                ('after', models.BigIntegerField(null=True)),
                ('users', models.IntegerField(default=1)),
            ],
        ),
    ]
