import django.core.serializers.json
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import tracking.destinations
import tracking.hits
import tracking.models.fields
import tracking.models.indexes
import tracking.models.visitors


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("contenttypes", "0002_remove_content_type_name"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="BannedIP",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "network",
                    tracking.models.fields.NetworkField(
                        help_text="An IP address, or a network such as 192.0.2.0/24 or 2001:db8::/32.",
                        unique=True,
                        verbose_name="network",
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=200, verbose_name="reason")),
                (
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="banned at"
                    ),
                ),
                (
                    "expires_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="The ban ends at this time. Leave empty for a permanent ban.",
                        null=True,
                        verbose_name="expires at",
                    ),
                ),
            ],
            options={
                "verbose_name": "banned IP",
                "verbose_name_plural": "banned IPs",
            },
        ),
        migrations.CreateModel(
            name="CountedDay",
            fields=[
                ("day", models.DateField(primary_key=True, serialize=False)),
                ("zone", models.CharField(max_length=64)),
                ("version", models.UUIDField()),
            ],
        ),
        migrations.CreateModel(
            name="SharedValue",
            fields=[
                ("name", models.CharField(max_length=50, primary_key=True, serialize=False)),
                ("value", models.CharField(blank=True, max_length=64)),
                ("changed_at", models.DateTimeField()),
            ],
            options={
                "db_table": "tracking_agreed",
            },
        ),
        migrations.CreateModel(
            name="Source",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("slug", models.SlugField(max_length=100, unique=True, verbose_name="slug")),
                (
                    "medium",
                    models.CharField(
                        blank=True,
                        help_text="The channel, such as email, social or cpc.",
                        max_length=100,
                        verbose_name="medium",
                    ),
                ),
                ("campaign", models.CharField(blank=True, max_length=200, verbose_name="campaign")),
                ("term", models.CharField(blank=True, max_length=200, verbose_name="term")),
                ("content", models.CharField(blank=True, max_length=200, verbose_name="content")),
            ],
            options={
                "verbose_name": "source",
                "verbose_name_plural": "sources",
            },
        ),
        migrations.CreateModel(
            name="Target",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "url",
                    models.TextField(
                        help_text="The destination of the link: an http or https URL, or a path of this site.",
                        validators=[tracking.destinations.validate_destination],
                        verbose_name="URL",
                    ),
                ),
                (
                    "active",
                    models.BooleanField(
                        default=True,
                        help_text="Clicks on an inactive link still redirect, but are not counted.",
                        verbose_name="active",
                    ),
                ),
                (
                    "expires_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Clicks after this time still redirect, but are not counted.",
                        null=True,
                        verbose_name="expires at",
                    ),
                ),
            ],
            options={
                "verbose_name": "target",
                "verbose_name_plural": "targets",
            },
        ),
        migrations.CreateModel(
            name="UntrackedUserAgent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "keyword",
                    models.CharField(
                        help_text="Browsers whose user agent contains this text are not tracked (case-insensitive).",
                        max_length=100,
                        unique=True,
                        verbose_name="keyword",
                    ),
                ),
            ],
            options={
                "verbose_name": "untracked user agent",
                "verbose_name_plural": "untracked user agents",
            },
        ),
        migrations.CreateModel(
            name="DailyCount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "day",
                    models.DateField(help_text="In the time zone of the site.", verbose_name="day"),
                ),
                ("key", models.CharField(editable=False, max_length=32)),
                ("scope", models.CharField(blank=True, max_length=280, verbose_name="scope")),
                ("facet", models.CharField(max_length=20, verbose_name="facet")),
                ("value", models.TextField(blank=True, verbose_name="value")),
                ("total", models.BigIntegerField(default=0, verbose_name="total")),
                ("uniques", models.BigIntegerField(default=0, verbose_name="uniques")),
                ("bounces", models.BigIntegerField(default=0, verbose_name="bounces")),
                (
                    "microseconds",
                    models.BigIntegerField(
                        default=0, verbose_name="duration of visits in microseconds"
                    ),
                ),
                ("pages", models.BigIntegerField(default=0, verbose_name="pages of visits")),
            ],
            options={
                "verbose_name": "daily count",
                "verbose_name_plural": "daily counts",
                "indexes": [
                    models.Index(fields=["scope", "facet", "day"], name="tracking_dailycount_scope")
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("day", "key"), name="tracking_dailycount_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="LateDay",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
            ],
            options={
                "indexes": [models.Index(fields=["day"], name="tracking_lateday_day")],
            },
        ),
        migrations.CreateModel(
            name="Visitor",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("browser", models.CharField(blank=True, max_length=100, verbose_name="browser")),
                (
                    "os",
                    models.CharField(blank=True, max_length=100, verbose_name="operating system"),
                ),
                ("device", models.CharField(blank=True, max_length=20, verbose_name="device")),
                ("country", models.CharField(blank=True, max_length=2, verbose_name="country")),
                ("region", models.CharField(blank=True, max_length=100, verbose_name="region")),
                ("city", models.CharField(blank=True, max_length=100, verbose_name="city")),
                ("latitude", models.FloatField(blank=True, null=True, verbose_name="latitude")),
                ("longitude", models.FloatField(blank=True, null=True, verbose_name="longitude")),
                (
                    "verdict",
                    models.CharField(
                        choices=[
                            ("human", "Human"),
                            ("proxy", "Mail proxy"),
                            ("prefetch", "Prefetch"),
                            ("bot", "Bot"),
                        ],
                        default="human",
                        max_length=20,
                        verbose_name="verdict",
                    ),
                ),
                (
                    "verdict_reason",
                    models.CharField(
                        blank=True, max_length=200, verbose_name="reason for the verdict"
                    ),
                ),
                (
                    "key",
                    models.CharField(
                        default=tracking.models.visitors.random_key,
                        editable=False,
                        max_length=32,
                        unique=True,
                        verbose_name="key",
                    ),
                ),
                (
                    "session_key",
                    models.CharField(blank=True, max_length=40, verbose_name="session key"),
                ),
                (
                    "ip_address",
                    models.GenericIPAddressField(blank=True, null=True, verbose_name="IP address"),
                ),
                (
                    "logged_in_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When this visitor was first seen logged in as the user.",
                        null=True,
                        verbose_name="logged in at",
                    ),
                ),
                ("user_known_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("user_agent", models.TextField(blank=True, verbose_name="user agent")),
                (
                    "referrer",
                    models.TextField(
                        blank=True,
                        help_text="The other site that the visitor came from.",
                        verbose_name="referrer",
                    ),
                ),
                (
                    "url",
                    models.TextField(
                        blank=True,
                        help_text="The last page that the visitor saw.",
                        verbose_name="page",
                    ),
                ),
                ("page_views", models.PositiveIntegerField(default=0, verbose_name="page views")),
                (
                    "session_start",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="since"),
                ),
                (
                    "last_update",
                    models.DateTimeField(
                        default=django.utils.timezone.now, verbose_name="last seen"
                    ),
                ),
                (
                    "user",
                    tracking.models.fields.SoftForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "visitor",
                "verbose_name_plural": "visitors",
                "get_latest_by": "last_update",
            },
        ),
        migrations.CreateModel(
            name="Visit",
            fields=[
                ("browser", models.CharField(blank=True, max_length=100, verbose_name="browser")),
                (
                    "os",
                    models.CharField(blank=True, max_length=100, verbose_name="operating system"),
                ),
                ("device", models.CharField(blank=True, max_length=20, verbose_name="device")),
                ("country", models.CharField(blank=True, max_length=2, verbose_name="country")),
                ("region", models.CharField(blank=True, max_length=100, verbose_name="region")),
                ("city", models.CharField(blank=True, max_length=100, verbose_name="city")),
                ("latitude", models.FloatField(blank=True, null=True, verbose_name="latitude")),
                ("longitude", models.FloatField(blank=True, null=True, verbose_name="longitude")),
                (
                    "verdict",
                    models.CharField(
                        choices=[
                            ("human", "Human"),
                            ("proxy", "Mail proxy"),
                            ("prefetch", "Prefetch"),
                            ("bot", "Bot"),
                        ],
                        default="human",
                        max_length=20,
                        verbose_name="verdict",
                    ),
                ),
                (
                    "verdict_reason",
                    models.CharField(
                        blank=True, max_length=200, verbose_name="reason for the verdict"
                    ),
                ),
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
                    "ip_address",
                    models.GenericIPAddressField(blank=True, null=True, verbose_name="IP address"),
                ),
                ("user_agent", models.TextField(blank=True, verbose_name="user agent")),
                ("started_at", models.DateTimeField(verbose_name="started at")),
                (
                    "ended_at",
                    models.DateTimeField(
                        help_text="When the last page was seen.", verbose_name="ended at"
                    ),
                ),
                ("entry_url", models.TextField(blank=True, verbose_name="first page")),
                ("exit_url", models.TextField(blank=True, verbose_name="last page")),
                ("page_views", models.PositiveIntegerField(default=0, verbose_name="page views")),
                ("referrer", models.TextField(blank=True, verbose_name="referrer")),
                ("source", models.CharField(blank=True, max_length=200, verbose_name="source")),
                ("medium", models.CharField(blank=True, max_length=200, verbose_name="medium")),
                ("campaign", models.CharField(blank=True, max_length=200, verbose_name="campaign")),
                ("term", models.CharField(blank=True, max_length=200, verbose_name="term")),
                ("content", models.CharField(blank=True, max_length=200, verbose_name="content")),
                (
                    "user",
                    tracking.models.fields.SoftForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
                (
                    "visitor",
                    tracking.models.fields.SoftForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="visits",
                        to="tracking.visitor",
                        to_field="key",
                        verbose_name="visitor",
                    ),
                ),
            ],
            options={
                "verbose_name": "visit",
                "verbose_name_plural": "visits",
                "get_latest_by": "started_at",
            },
        ),
        migrations.CreateModel(
            name="Beacon",
            fields=[
                ("browser", models.CharField(blank=True, max_length=100, verbose_name="browser")),
                (
                    "os",
                    models.CharField(blank=True, max_length=100, verbose_name="operating system"),
                ),
                ("device", models.CharField(blank=True, max_length=20, verbose_name="device")),
                ("country", models.CharField(blank=True, max_length=2, verbose_name="country")),
                ("region", models.CharField(blank=True, max_length=100, verbose_name="region")),
                ("city", models.CharField(blank=True, max_length=100, verbose_name="city")),
                ("latitude", models.FloatField(blank=True, null=True, verbose_name="latitude")),
                ("longitude", models.FloatField(blank=True, null=True, verbose_name="longitude")),
                (
                    "verdict",
                    models.CharField(
                        choices=[
                            ("human", "Human"),
                            ("proxy", "Mail proxy"),
                            ("prefetch", "Prefetch"),
                            ("bot", "Bot"),
                        ],
                        default="human",
                        max_length=20,
                        verbose_name="verdict",
                    ),
                ),
                (
                    "verdict_reason",
                    models.CharField(
                        blank=True, max_length=200, verbose_name="reason for the verdict"
                    ),
                ),
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
                    "kind",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("click", "Click"),
                            ("sent", "Sent"),
                            ("event", "Event"),
                        ],
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                (
                    "time",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="time"),
                ),
                (
                    "target_id",
                    models.CharField(
                        blank=True, max_length=255, null=True, verbose_name="target id"
                    ),
                ),
                (
                    "source_id",
                    models.CharField(
                        blank=True, max_length=255, null=True, verbose_name="source id"
                    ),
                ),
                (
                    "entity_id",
                    models.CharField(
                        blank=True, max_length=255, null=True, verbose_name="entity id"
                    ),
                ),
                (
                    "data",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        encoder=django.core.serializers.json.DjangoJSONEncoder,
                        help_text="The arguments of the tag.",
                        verbose_name="data",
                    ),
                ),
                (
                    "url",
                    models.TextField(
                        blank=True, help_text="The destination of a click.", verbose_name="URL"
                    ),
                ),
                ("referrer", models.TextField(blank=True, verbose_name="referrer")),
                (
                    "ip_address",
                    models.GenericIPAddressField(blank=True, null=True, verbose_name="IP address"),
                ),
                ("user_agent", models.TextField(blank=True, verbose_name="user agent")),
                (
                    "entity_type",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="contenttypes.contenttype",
                        verbose_name="entity type",
                    ),
                ),
                (
                    "source_type",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="contenttypes.contenttype",
                        verbose_name="source type",
                    ),
                ),
                (
                    "target_type",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="contenttypes.contenttype",
                        verbose_name="target type",
                    ),
                ),
                (
                    "visitor",
                    tracking.models.fields.SoftForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="beacons",
                        to="tracking.visitor",
                        to_field="key",
                        verbose_name="visitor",
                    ),
                ),
            ],
            options={
                "verbose_name": "beacon",
                "verbose_name_plural": "beacons",
                "permissions": [("view_full_address", "Can see full IP addresses")],
                "get_latest_by": "time",
            },
        ),
        migrations.CreateModel(
            name="WrittenBatch",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("time", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name_plural": "written batches",
                "db_table": "tracking_receipt",
                "indexes": [models.Index(fields=["time"], name="tracking_receipt_time")],
            },
        ),
        migrations.CreateModel(
            name="PageView",
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
                ("time", models.DateTimeField(verbose_name="time")),
                ("url", models.TextField(verbose_name="page")),
                (
                    "visit",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pages",
                        to="tracking.visit",
                        verbose_name="visit",
                    ),
                ),
            ],
            options={
                "verbose_name": "page view",
                "verbose_name_plural": "page views",
                "get_latest_by": "time",
                "indexes": [models.Index(fields=["time"], name="tracking_pageview_time")],
            },
        ),
        migrations.AddIndex(
            model_name="visitor",
            index=models.Index(fields=["last_update"], name="tracking_visitor_update"),
        ),
        migrations.AddIndex(
            model_name="visitor",
            index=models.Index(fields=["verdict", "last_update"], name="tracking_visitor_verdict"),
        ),
        migrations.AddIndex(
            model_name="visitor",
            index=models.Index(
                fields=["ip_address", "last_update"], name="tracking_visitor_address"
            ),
        ),
        migrations.AddIndex(
            model_name="visit",
            index=models.Index(fields=["visitor", "ended_at"], name="tracking_visit_visitor"),
        ),
        migrations.AddIndex(
            model_name="visit",
            index=models.Index(fields=["started_at"], name="tracking_visit_started"),
        ),
        migrations.AddIndex(
            model_name="visit",
            index=models.Index(fields=["ended_at"], name="tracking_visit_ended"),
        ),
        migrations.AddIndex(
            model_name="beacon",
            index=models.Index(fields=["time"], name="tracking_beacon_time"),
        ),
        migrations.AddIndex(
            model_name="beacon",
            index=models.Index(fields=["kind", "time"], name="tracking_beacon_kind"),
        ),
        migrations.AddIndex(
            model_name="beacon",
            index=models.Index(fields=["ip_address", "time"], name="tracking_beacon_address"),
        ),
        migrations.AddIndex(
            model_name="beacon",
            index=tracking.models.indexes.NotNullIndex(
                fields=["target_type", "target_id", "time"], name="tracking_beacon_target"
            ),
        ),
        migrations.AddIndex(
            model_name="beacon",
            index=tracking.models.indexes.NotNullIndex(
                fields=["source_type", "source_id", "time"], name="tracking_beacon_source"
            ),
        ),
        migrations.AddIndex(
            model_name="beacon",
            index=tracking.models.indexes.NotNullIndex(
                fields=["entity_type", "entity_id", "time"], name="tracking_beacon_entity"
            ),
        ),
        migrations.AddIndex(
            model_name="beacon",
            index=tracking.models.indexes.NotNullIndex(
                fields=["visitor"], name="tracking_beacon_visitor"
            ),
        ),
    ]
