"""Counts of visits, pages and beacons by day.

==========================  ================================================================
:mod:`.metric_definitions`  what recipient, unique, open, click, opened and visitor mean
:mod:`.days`                days of the site, and intervals of time
:mod:`.counts`              what is counted of a group of rows
:mod:`.site_counts`         facets of the whole site, and the rows they count
:mod:`.table_counts`        facets of the whole site, in one statement for each table
:mod:`.filtered_counts`     the whole site with filters, with counts that are kept
:mod:`.stored_lists`        lists of counted days, added up once and kept
:mod:`.list_sums`           sums of the values of a list, in memory
:mod:`.kept_counts`         writes counts that are kept for the next report
:mod:`.packed_counts`       counts of one day as bytes
:mod:`.source_counts`       one source, counted from rows
:mod:`.event_counts`        its events, and their values
:mod:`.stored_source`       what is stored of one source
:mod:`.hourly`              hours of a day
:mod:`.build`               counts past days and stores them
:mod:`.read`                reads stored counts, and counts the other days from rows
:mod:`.months`              months that are stored as one
:mod:`.folding`             adds up old days to months
:mod:`.late_days`           days that got rows after they were counted
:mod:`.completeness`        up to when rows may have been deleted
:mod:`.sql_text`            SQL expressions of texts
==========================  ================================================================
"""
