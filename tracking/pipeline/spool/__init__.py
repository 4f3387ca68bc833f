"""Hits on disk, until they are written to the database.

A hit is appended to a file before the reader has the answer. From then on it survives the
process, even a killed one: the kernel holds the data. (A machine that loses power may lose the
hits of the last seconds.)

    spool = Spool(spool_folder())
    spool.append([hit])
    batch = spool.take_batch(2_000)
    ...                               # write it
    spool.settle_batch(batch)

=====================  ===================================================================
:mod:`.records`        hits as bytes; finding the whole ones in a damaged file
:mod:`.header`         the start of a file: whose it is, how far it is written
:mod:`.segments`       one file
:mod:`.process_spool`  the files of this process
:mod:`.orphans`        the files of dead processes
:mod:`.site_identity`  which site a file belongs to
:mod:`.location`       where the folder is
:mod:`.folder`         whether it can be used, and which files it holds
:mod:`.rejected`       records set aside because the database refuses them
:mod:`.unreadable`     the hits in files that cannot be read
:mod:`.in_flight`      copies of batches that were sent to Celery workers
:mod:`.status`         what waits, for people and monitoring
=====================  ===================================================================
"""

from tracking.pipeline.spool.folder import make_folder
from tracking.pipeline.spool.location import spool_folder
from tracking.pipeline.spool.process_spool import Batch, Spool
from tracking.pipeline.spool.records import (
    BadRecord,
    DamagedBytes,
    Item,
    Record,
    decode_hit,
    encode_hit,
)
from tracking.pipeline.spool.rejected import Rejected, save_rejected
from tracking.pipeline.spool.site_identity import SiteIdentity, this_site
from tracking.pipeline.spool.status import folder_status

__all__ = [
    "BadRecord",
    "Batch",
    "DamagedBytes",
    "Item",
    "Record",
    "Rejected",
    "SiteIdentity",
    "Spool",
    "decode_hit",
    "encode_hit",
    "folder_status",
    "make_folder",
    "save_rejected",
    "spool_folder",
    "this_site",
]
