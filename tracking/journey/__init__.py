"""The journey of a reader: from a click in a mail to what it was sent for.

A click has the key of its visitor, which the pages and events after it have, too. That ties them
to the recipient and to the mailing.

======================  ====================================================================
:mod:`.goals`           which events and pages are goals (``TRACKING_GOALS``)
:mod:`.page_goals`      a page that is a goal becomes an event
:mod:`.last_clicks`     the last click before a moment, by recipient or visitor
:mod:`.credit`          events are credited to the mailing that led to them
======================  ====================================================================
"""
