import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import tracking.hits
import tracking.models.webhooks
from tracking.db.collations import exact_collation, set_collation


def compare_exactly(apps, editor):
    """Compare the texts of the new tables letter by letter on MariaDB and MySQL, too."""
    if editor.connection.vendor == "mysql":
        for name in ("WebhookEndpoint", "WebhookMessage"):
            model = apps.get_model("tracking", name)
            set_collation(editor, model, exact_collation(editor.connection))


class Migration(migrations.Migration):
    dependencies = [
        ("tracking", "0009_mail_provider_events"),
    ]

    operations = [
        migrations.CreateModel(
            name="WebhookEndpoint",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("url", models.CharField(max_length=1000, verbose_name="URL")),
                (
                    "secret",
                    models.CharField(
                        default=tracking.models.webhooks.new_secret,
                        editable=False,
                        max_length=120,
                        verbose_name="secret",
                    ),
                ),
                ("previous_secret", models.CharField(blank=True, editable=False, max_length=120)),
                (
                    "previous_secret_until",
                    models.DateTimeField(blank=True, editable=False, null=True),
                ),
                ("types", models.JSONField(default=list, verbose_name="events")),
                (
                    "sources",
                    models.TextField(
                        blank=True,
                        help_text="Only events of these sources, one per line: the slug of a source, a model such as shop.affiliate, or one object of it such as shop.affiliate:7. Empty: all events.",
                        verbose_name="sources",
                    ),
                ),
                (
                    "personal_data",
                    models.BooleanField(
                        default=False,
                        help_text="Send the IP address, the user agent and the visitor's key, too.",
                        verbose_name="personal data",
                    ),
                ),
                ("active", models.BooleanField(default=True, verbose_name="active")),
                (
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="created"
                    ),
                ),
                ("lease", models.CharField(blank=True, editable=False, max_length=32)),
                ("leased_until", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "failures",
                    models.PositiveIntegerField(
                        default=0, editable=False, verbose_name="failures in a row"
                    ),
                ),
                ("failing_since", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "failure",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("status", "The endpoint answered with an error"),
                            ("redirect", "The endpoint redirects, which is not followed"),
                            ("timeout", "The endpoint did not answer in time"),
                            ("connection", "No connection"),
                            ("certificate", "The certificate is not valid"),
                            ("address", "The address is not public"),
                            ("url", "The URL is not allowed"),
                            ("gone", "The endpoint asked for no more messages"),
                            ("expired", "Too old: the endpoint could not be reached for days"),
                        ],
                        editable=False,
                        max_length=20,
                    ),
                ),
                ("paused_until", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "delivered_at",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="last delivery"
                    ),
                ),
                (
                    "dropped",
                    models.PositiveBigIntegerField(
                        default=0, editable=False, verbose_name="dropped events"
                    ),
                ),
            ],
            options={
                "verbose_name": "webhook endpoint",
                "verbose_name_plural": "webhook endpoints",
            },
        ),
        migrations.CreateModel(
            name="WebhookMessage",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=tracking.hits.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="created"),
                ),
                ("events", models.PositiveIntegerField(verbose_name="events")),
                ("size", models.PositiveIntegerField(verbose_name="size")),
                ("attempts", models.PositiveSmallIntegerField(default=0, verbose_name="attempts")),
                (
                    "tried_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="last attempt"),
                ),
                (
                    "next_attempt_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, verbose_name="next attempt"
                    ),
                ),
                ("expires_at", models.DateTimeField(verbose_name="expires")),
                ("is_dead", models.BooleanField(default=False, verbose_name="given up")),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("status", "The endpoint answered with an error"),
                            ("redirect", "The endpoint redirects, which is not followed"),
                            ("timeout", "The endpoint did not answer in time"),
                            ("connection", "No connection"),
                            ("certificate", "The certificate is not valid"),
                            ("address", "The address is not public"),
                            ("url", "The URL is not allowed"),
                            ("gone", "The endpoint asked for no more messages"),
                            ("expired", "Too old: the endpoint could not be reached for days"),
                        ],
                        max_length=20,
                        verbose_name="reason",
                    ),
                ),
                (
                    "status",
                    models.PositiveSmallIntegerField(blank=True, null=True, verbose_name="status"),
                ),
                ("answer", models.TextField(blank=True, verbose_name="last answer")),
                ("items", models.TextField()),
                (
                    "endpoint",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="messages",
                        to="tracking.webhookendpoint",
                        verbose_name="endpoint",
                    ),
                ),
            ],
            options={
                "verbose_name": "webhook message",
                "verbose_name_plural": "webhook messages",
                "permissions": [("replay_webhookmessage", "Can send webhook messages again")],
                "default_permissions": ("view", "delete"),
                "indexes": [
                    models.Index(
                        fields=["endpoint", "is_dead", "next_attempt_at"],
                        name="tracking_webhook_next",
                    ),
                    models.Index(fields=["created_at"], name="tracking_webhook_created"),
                ],
            },
        ),
        migrations.RunPython(compare_exactly, migrations.RunPython.noop, atomic=False),
    ]
