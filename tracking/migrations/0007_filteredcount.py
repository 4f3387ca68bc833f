import django.utils.timezone
from django.db import migrations, models

from tracking.db.collations import exact_collation, set_collation


def compare_exactly(apps, editor):
    """Compare the texts of the new table letter by letter on MariaDB and MySQL, too."""
    if editor.connection.vendor == "mysql":
        model = apps.get_model("tracking", "FilteredCount")
        set_collation(editor, model, exact_collation(editor.connection))


class Migration(migrations.Migration):
    dependencies = [
        ("tracking", "0006_visitor_previous_key"),
    ]

    operations = [
        migrations.CreateModel(
            name="FilteredCount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("filter_key", models.CharField(max_length=32)),
                ("day", models.DateField(verbose_name="day")),
                ("version", models.UUIDField()),
                ("figures", models.BinaryField()),
                ("lists", models.BinaryField()),
                ("used_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "indexes": [models.Index(fields=["used_at"], name="tracking_filteredcount_used")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("filter_key", "day"), name="tracking_filteredcount_once"
                    )
                ],
            },
        ),
        migrations.RunPython(compare_exactly, migrations.RunPython.noop, atomic=False),
    ]
