from django.db import migrations, models

from tracking.models.indexes import NotNullIndex


class Migration(migrations.Migration):
    """Columns of events, and the clicks of a visitor in the order of time."""

    dependencies = [("tracking", "0007_filteredcount")]

    operations = [
        migrations.AddField(
            model_name="beacon",
            name="event_name",
            field=models.CharField(blank=True, max_length=100, null=True, verbose_name="event"),
        ),
        migrations.AddField(
            model_name="beacon",
            name="event_value",
            field=models.DecimalField(
                blank=True, decimal_places=2, max_digits=15, null=True, verbose_name="value"
            ),
        ),
        migrations.RemoveIndex(model_name="beacon", name="tracking_beacon_visitor"),
        migrations.AddIndex(
            model_name="beacon",
            index=NotNullIndex(fields=["visitor", "time"], name="tracking_beacon_visitor"),
        ),
    ]
