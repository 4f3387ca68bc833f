"""Real servers over sockets: what recording costs, beside doing without and beside peers.

``python -m benchmarks servers --servers gunicorn,uvicorn --variants bare,buffered-sqlite``

====================  =====================================================================
:mod:`.variants`      what is compared, and the targets
:mod:`.site`          the site that is served
:mod:`.sites`         a folder with settings, database and spool for each variant
:mod:`.serving`       the servers
:mod:`.load`          who asks
:mod:`.rounds`        taking turns, and counting rows
:mod:`.tables`        what is shown
:mod:`.peers`         where other packages come from
:mod:`.comparing`     the command
====================  =====================================================================

One worker each. The server has one processor to itself and the load another; what a database
server takes falls on either.
"""

from collections.abc import Sequence


def main(options: Sequence[str] = ()) -> None:
    """Measure and print.

    Args:
        options: of the command line, see ``--help``.
    """
    # Here, because the sites of other packages import this one, and cannot import ours.
    from benchmarks.servers import comparing

    comparing.main(options)
