import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

from tracking.db.collations import exact_collation, set_collation


def compare_exactly(apps, editor):
    """Compare the texts of the new tables letter by letter on MariaDB and MySQL, too."""
    if editor.connection.vendor == "mysql":
        collation = exact_collation(editor.connection)
        for name in ("MailConsent", "MailConsentChange"):
            set_collation(editor, apps.get_model("tracking", name), collation)


class Migration(migrations.Migration):
    dependencies = [
        ("tracking", "0010_webhooks"),
    ]

    operations = [
        migrations.CreateModel(
            name="MailConsent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "opens",
                    models.CharField(
                        choices=[
                            ("unknown", "Not asked"),
                            ("granted", "Granted"),
                            ("denied", "Denied"),
                        ],
                        default="unknown",
                        max_length=7,
                        verbose_name="opens",
                    ),
                ),
                (
                    "clicks",
                    models.CharField(
                        choices=[
                            ("unknown", "Not asked"),
                            ("granted", "Granted"),
                            ("denied", "Denied"),
                        ],
                        default="unknown",
                        max_length=7,
                        verbose_name="clicks",
                    ),
                ),
                (
                    "changed_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, verbose_name="time of change"
                    ),
                ),
                ("how", models.CharField(blank=True, max_length=50, verbose_name="how")),
                ("text", models.CharField(blank=True, max_length=200, verbose_name="text shown")),
                ("digest", models.BigIntegerField(editable=False, unique=True)),
                ("label", models.CharField(blank=True, max_length=200, verbose_name="model")),
                ("key", models.CharField(max_length=255, verbose_name="key")),
            ],
            options={
                "verbose_name": "mail consent",
                "verbose_name_plural": "mail consents",
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["key", "label"], name="tracking_mailconsent_key"),
                    models.Index(fields=["-changed_at"], name="tracking_mailconsent_changed"),
                    models.Index(
                        fields=["digest", "opens", "clicks"], name="tracking_mailconsent_load"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="MailConsentChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "opens",
                    models.CharField(
                        choices=[
                            ("unknown", "Not asked"),
                            ("granted", "Granted"),
                            ("denied", "Denied"),
                        ],
                        default="unknown",
                        max_length=7,
                        verbose_name="opens",
                    ),
                ),
                (
                    "clicks",
                    models.CharField(
                        choices=[
                            ("unknown", "Not asked"),
                            ("granted", "Granted"),
                            ("denied", "Denied"),
                        ],
                        default="unknown",
                        max_length=7,
                        verbose_name="clicks",
                    ),
                ),
                (
                    "changed_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, verbose_name="time of change"
                    ),
                ),
                ("how", models.CharField(blank=True, max_length=50, verbose_name="how")),
                ("text", models.CharField(blank=True, max_length=200, verbose_name="text shown")),
                (
                    "consent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="changes",
                        to="tracking.mailconsent",
                    ),
                ),
            ],
            options={
                "verbose_name": "change of consent",
                "verbose_name_plural": "changes of consent",
                "default_permissions": ("view",),
            },
        ),
        migrations.RunPython(compare_exactly, migrations.RunPython.noop, atomic=False),
    ]
