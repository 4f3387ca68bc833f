"""Texts that differ are different on MariaDB and MySQL, too. Other databases change nothing."""

from django.db import migrations

from tracking.db.collations import exact_collation, set_collation


def compare_exactly(apps, editor):
    if editor.connection.vendor == "mysql":
        _set_collations(apps, editor, exact_collation(editor.connection))


def compare_as_the_database(apps, editor):
    if editor.connection.vendor == "mysql":
        with editor.connection.cursor() as cursor:
            cursor.execute("SELECT @@collation_database")
            _set_collations(apps, editor, cursor.fetchone()[0])


def _set_collations(apps, editor, collation):
    for model in apps.get_app_config("tracking").get_models():
        set_collation(editor, model, collation)


class Migration(migrations.Migration):
    atomic = False  # MariaDB changes tables outside of transactions
    dependencies = [("tracking", "0002_visitor_page_key")]
    operations = [migrations.RunPython(compare_exactly, compare_as_the_database)]
