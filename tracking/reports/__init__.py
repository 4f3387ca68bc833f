"""What people want to know, read from the tables; nothing is ever written.

=====================  ====================================================================
:mod:`.periods`        the days that are asked for, and the buckets of charts
:mod:`.filters`        what a report is narrowed down to
:mod:`.queries`        both, from a query string, which may say anything
:mod:`.figures`        the parts of reports: figures, series, lists
:mod:`.pieces`         what was counted in pieces of time
:mod:`.measures`       the figures that are made of it
:mod:`.lists`          what is largest
:mod:`.overview`       the whole site in a period
:mod:`.campaigns`      one mailing
:mod:`.recipients`     its recipients, one by one
:mod:`.tables`         all of them as CSV
:mod:`.texts`          as plain text
:mod:`.mailing`        as mail
=====================  ====================================================================
"""

from tracking.reports.campaigns import Campaign, campaign
from tracking.reports.csv_tables import campaign_table, lines, overview_table
from tracking.reports.filters import Filters
from tracking.reports.overview import Overview, overview
from tracking.reports.periods import BadQuery, Period
from tracking.reports.query_string import Query, read_query
from tracking.reports.recipients import Recipients, State, recipients
from tracking.reports.top_lists import listing

__all__ = [
    "BadQuery",
    "Campaign",
    "Filters",
    "Overview",
    "Period",
    "Query",
    "Recipients",
    "State",
    "campaign",
    "campaign_table",
    "lines",
    "listing",
    "overview",
    "overview_table",
    "read_query",
    "recipients",
]
