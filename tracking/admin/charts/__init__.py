"""Numbers as pictures: SVG that is complete when it leaves the server.

No script draws, moves or colours anything, and no element has a style of its own: the colours
are those of the admin, by the classes of ``tracking/reports.css``, in light and dark. Text
keeps its size however wide the picture becomes: it is placed by percentages, and only lines
are stretched.

    points = [Point(label="1 May", name="Thursday, 1 May 2025", value=12, before=9), ...]
    chart = Chart(id="visitors", title="Visitors", description="...", points=points, unit=COUNT)
    picture(chart)                       # the SVG alone
    figure(chart, head="Day")            # with a legend, and its numbers as a table

======================  ====================================================================
:mod:`.scales`          the numbers and labels along the axes
:mod:`.lines`           a series over time
:mod:`.bars`            a share as a bar, in a table or in parts
======================  ====================================================================
"""

from tracking.admin.charts.bars import Part, bar, parted
from tracking.admin.charts.lines import Chart, Point, figure, picture
from tracking.admin.charts.scales import Unit

__all__ = ["Chart", "Part", "Point", "Unit", "bar", "figure", "parted", "picture"]
