import django.utils.timezone
from django.db import migrations, models

import tracking.models.indexes


class Migration(migrations.Migration):
    dependencies = [
        ("tracking", "0008_beacon_event"),
    ]

    operations = [
        migrations.AlterField(
            model_name="beacon",
            name="kind",
            field=models.CharField(
                choices=[
                    ("open", "Open"),
                    ("click", "Click"),
                    ("sent", "Sent"),
                    ("event", "Event"),
                    ("delivered", "Delivered"),
                    ("bounced", "Bounced"),
                    ("deferred", "Deferred"),
                    ("complained", "Complained"),
                    ("unsubscribed", "Unsubscribed"),
                ],
                max_length=20,
                verbose_name="kind",
            ),
        ),
        migrations.CreateModel(
            name="SentMessage",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("beacon_id", models.UUIDField()),
                ("time", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "indexes": [models.Index(fields=["time"], name="tracking_sentmessage_time")],
            },
        ),
        migrations.CreateModel(
            name="UnmatchedEvent",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("message", models.UUIDField(null=True)),
                ("hit", models.JSONField()),
                ("time", models.DateTimeField(default=django.utils.timezone.now)),
                ("due_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["message"], name="tracking_unmatched_message"),
                    models.Index(fields=["time"], name="tracking_unmatched_time"),
                    tracking.models.indexes.NotNullIndex(
                        fields=["due_at"], name="tracking_unmatched_due"
                    ),
                ],
            },
        ),
    ]
