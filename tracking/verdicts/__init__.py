"""Verdicts that later hits change, and today's rules over all of history.

========================  ===================================================================
:mod:`.messages`          the hits of a message, together
:mod:`.comparison`        the verdicts that the hits of messages and of senders show together
:mod:`.corrections`       change verdicts, note the days to count again, send the signal
:mod:`.recent`            compare the clicks of the last minutes, once every few seconds
:mod:`.background`        a thread for processes in which none writes hits
:mod:`.reclassification`  today's rules over opens and clicks of the past
========================  ===================================================================
"""
