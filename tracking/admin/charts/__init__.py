"""Charts as SVG, drawn completely on the server.

No script is needed, and no element has an inline style: colors come from the admin through the
classes of ``tracking/reports.css``, in light and dark. Text is placed by percentages and keeps its
size at any width; only lines are stretched.

    points = [Point(label="1 May", name="Thursday, 1 May 2025", value=12, before=9), ...]
    chart = Chart(id="visitors", title="Visitors", description="...", points=points, unit=COUNT)
    picture(chart)                       # the SVG alone
    figure(chart, head="Day")            # with a legend, and its numbers as a table

===============  ======================================================
:mod:`.scales`   numbers and labels along the axes
:mod:`.units`    how charts write counts, shares and durations
:mod:`.lines`    a series over time, as a line
:mod:`.bars`     a share as a bar, in a table or in parts
===============  ======================================================
"""

from tracking.admin.charts.bars import Part, Span, bar, parted
from tracking.admin.charts.lines import Chart, Point, figure, picture
from tracking.admin.charts.scales import Unit

__all__ = ["Chart", "Part", "Point", "Span", "Unit", "bar", "figure", "parted", "picture"]
