"""Counting what was observed, day by day.

=================  =====================================================================
:mod:`.days`       the days of the site, and the pieces of time that are counted apart
:mod:`.numbers`    what is counted of a group of rows
:mod:`.counting`   visits, pages and beacons of the whole site, counted from their rows
:mod:`.sources`    beacons of one source, each recipient on the day of its first
:mod:`.closing`    counting days that are over, once
:mod:`.stored`     what was counted, and what is still to be counted, as one
:mod:`.gone`       days of which rows are gone
=================  =====================================================================
"""
