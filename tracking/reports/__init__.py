"""Reports about the site and about mailings. They read, and write only counts with filters.

=========================  ==============================================================
:mod:`.periods`            the days of a report, and the buckets of its charts
:mod:`.filters`            filters of a report
:mod:`.query_string`       both, from a query string
:mod:`.figures`            parts of reports: figures, series, lists
:mod:`.interval_totals`    totals by interval, from which figures and series are made
:mod:`.site_totals`        counts of the whole site, with and without filters
:mod:`.measures`           the figures of the overview
:mod:`.top_lists`          the lists of the overview
:mod:`.overview`           the whole site in a period
:mod:`.campaigns`          one mailing
:mod:`.goals`              what came of it: goals and their value
:mod:`.recipients`         its recipients, one by one
:mod:`.recipient_states`   the state of each, and how many are in each
:mod:`.journeys`           what one of them did, up to the pages and events after a click
:mod:`.counts_per_object`  opens and clicks of many objects, for lists of them
:mod:`.formatting`         numbers and dates as text: percent, counts, durations, days
:mod:`.csv_tables`         reports as CSV
:mod:`.plain_text`         reports as plain text
:mod:`.weekly_mail`        reports as mail
=========================  ==============================================================
"""

from tracking.reports.campaigns import Campaign, campaign
from tracking.reports.csv_tables import campaign_table, lines, overview_table
from tracking.reports.filters import Filters
from tracking.reports.journeys import Journey, journey, next_pages
from tracking.reports.overview import Overview, overview
from tracking.reports.periods import BadQuery, Period
from tracking.reports.query_string import Query, read_query
from tracking.reports.recipient_states import Group, State
from tracking.reports.recipients import Recipients, recipients
from tracking.reports.top_lists import listing

__all__ = [
    "BadQuery",
    "Campaign",
    "Filters",
    "Group",
    "Journey",
    "Overview",
    "Period",
    "Query",
    "Recipients",
    "State",
    "campaign",
    "campaign_table",
    "journey",
    "lines",
    "listing",
    "next_pages",
    "overview",
    "overview_table",
    "read_query",
    "recipients",
]
