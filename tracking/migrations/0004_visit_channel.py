"""Visits name the site that led to them, and the channel. Those that are there get both."""

from collections import defaultdict

from django.db import migrations, models
from django.db.models import F

from tracking.db.chunks import CHUNK_SIZE, KEYS_PER_QUERY, in_batches, read_in_chunks
from tracking.enrichment.referrers import origin, source_named
from tracking.models.daily_counts import thing_key


def name_sites(apps, editor):
    visits = apps.get_model("tracking", "Visit").objects.using(editor.connection.alias)
    visits.filter(channel="", referrer="").update(channel="direct")
    others = read_in_chunks(visits.filter(channel=""), "pk", "referrer")
    for some in in_batches(others, CHUNK_SIZE):
        by_origin = defaultdict(list)
        for pk, referrer in some:
            by_origin[origin(referrer)].append(pk)
        for (site, channel), keys in by_origin.items():
            for batch in in_batches(keys, KEYS_PER_QUERY):
                visits.filter(pk__in=batch).update(referrer_site=site, channel=channel)


def name_sites_in_counts(apps, editor):
    """Give the counts by host the name of the site. Few of them are counts of well-known sites."""
    rows = apps.get_model("tracking", "DailyCount").objects.using(editor.connection.alias)
    rows = rows.filter(scope="", facet="referrers")
    columns = ("pk", "day", "value", "total", "uniques")
    for pk, day, host, total, uniques in read_in_chunks(rows.exclude(value=""), *columns):
        site = source_named(host).source
        if site == host:
            continue
        same, _is_new = rows.get_or_create(
            day=day,
            key=thing_key("", "referrers", site),
            defaults={"scope": "", "facet": "referrers", "value": site},
        )
        rows.filter(pk=same.pk).update(total=F("total") + total, uniques=F("uniques") + uniques)
        rows.filter(pk=pk).delete()


class Migration(migrations.Migration):
    atomic = False  # large tables are changed little by little

    dependencies = [("tracking", "0003_exact_texts")]

    operations = [
        migrations.AddField(
            model_name="visit",
            name="referrer_site",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                max_length=255,
                verbose_name="referring site",
            ),
        ),
        migrations.AddField(
            model_name="visit",
            name="channel",
            field=models.CharField(
                blank=True,
                choices=[
                    ("direct", "Direct"),
                    ("internal", "Internal"),
                    ("search", "Search engine"),
                    ("social", "Social"),
                    ("mail", "Mail"),
                    ("assistant", "AI assistant"),
                    ("referral", "Other sites"),
                ],
                db_default="",
                default="",
                help_text="How the visitor came, as the referrer says.",
                max_length=20,
                verbose_name="channel",
            ),
        ),
        migrations.RunPython(name_sites, migrations.RunPython.noop),
        migrations.RunPython(name_sites_in_counts, migrations.RunPython.noop),
    ]
