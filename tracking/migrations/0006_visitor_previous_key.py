from django.db import migrations, models

from tracking.models.indexes import NotNullIndex


class Migration(migrations.Migration):
    dependencies = [("tracking", "0005_dailycount_is_other")]

    operations = [
        migrations.AddField(
            model_name="visitor",
            name="previous_key",
            field=models.CharField(blank=True, editable=False, max_length=32, null=True),
        ),
        migrations.AddField(
            model_name="visitor",
            name="has_cookie",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddIndex(
            model_name="visitor",
            index=NotNullIndex(fields=["previous_key"], name="tracking_visitor_previous"),
        ),
    ]
