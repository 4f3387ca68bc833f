"""From the web process to the database without losing a hit.

=========================  =================================================================
:mod:`.spool`              hits on disk until they are written
:mod:`.write_batch`        write a batch; set aside the hits that the database refuses
:mod:`.drain`              write by hand what dead processes left, and what was set aside
:mod:`.celery_messages`    batches as messages for Celery
:mod:`.celery_consumer`    what a worker does with a message
:mod:`.celery_redelivery`  send batches again that no worker has written
=========================  =================================================================
"""
