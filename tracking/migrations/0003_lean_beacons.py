import django.db.models.deletion
from django.db import migrations, models

import tracking.models.fields
import tracking.models.indexes


class Migration(migrations.Migration):
    dependencies = [
        ("contenttypes", "0002_remove_content_type_name"),
        ("tracking", "0002_visitors"),
    ]

    operations = [
        # The constraints first: MariaDB keeps an index that one of them needs.
        migrations.AlterField(
            model_name="beacon",
            name="entity_type",
            field=models.ForeignKey(
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
        migrations.AlterField(
            model_name="beacon",
            name="source_type",
            field=models.ForeignKey(
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
        migrations.AlterField(
            model_name="beacon",
            name="target_type",
            field=models.ForeignKey(
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
        migrations.AlterField(
            model_name="beacon",
            name="visitor",
            field=tracking.models.fields.SoftForeignKey(
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
        migrations.RemoveIndex(
            model_name="beacon",
            name="tracking_beacon_target",
        ),
        migrations.RemoveIndex(
            model_name="beacon",
            name="tracking_beacon_source",
        ),
        migrations.RemoveIndex(
            model_name="beacon",
            name="tracking_beacon_entity",
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
