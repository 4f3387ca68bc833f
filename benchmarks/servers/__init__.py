"""Measure real servers over sockets: recording, not recording, and other packages.

``python -m benchmarks servers --servers gunicorn,uvicorn --variants bare,buffered-sqlite``

====================  =====================================================================
:mod:`.variants`      the variants and their targets
:mod:`.site`          the Django project that is served
:mod:`.sites`         folder, settings, database and spool of each variant
:mod:`.serving`       the servers
:mod:`.load`          the load generator
:mod:`.rounds`        the rounds, and counting rows
:mod:`.tables`        the tables of results
:mod:`.peers`         installing other packages
:mod:`.comparing`     the command line
====================  =====================================================================

Each server runs one worker. The server has one processor and the load generator another. A database
server uses either.
"""

from collections.abc import Sequence


def main(options: Sequence[str] = ()) -> None:
    """Measure and print.

    Args:
        options: of the command line, see ``--help``.
    """
    # Imported here: sites with another package named "tracking" import this one, too.
    from benchmarks.servers import comparing

    comparing.main(options)
