from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('core', '0002_delta'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='configurationrevision',
            options={'permissions': (('view_changes', 'Can view all changes of configuration'),)},
        ),
        migrations.RunSQL('CREATE SEQUENCE core_change_numbers', 'DROP SEQUENCE core_change_numbers'),
    ]
