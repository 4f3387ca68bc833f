from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tracking", "0004_visit_channel")]

    operations = [
        migrations.AddField(
            model_name="dailycount",
            name="is_other",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="All values that are not among the largest of the day, as one.",
                verbose_name="other values",
            ),
        ),
    ]
