"""One mail of the corpus, with what is expected of it, written by hand."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mail:
    """One mail.

    Attributes:
        name: what it is like.
        html: its HTML.
        links: what is tracked, in order: the destination, or the value in the HTML and the
            destination, where they differ.
        before_pixel: whether the pixel stands before the last ``</body>``; else ``pixel_before``.
        pixel_before: what follows the pixel.
        options: values for the message, such as ``encoding`` and ``headers``.
        is_utm: whether links get UTM parameters.
    """

    name: str
    html: str
    links: tuple[str | tuple[str, str], ...] = ()
    pixel_before: str = ""
    encoding: Any = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def values(self) -> list[str]:
        """What stands in the HTML for each link that is tracked."""
        return [link if isinstance(link, str) else link[0] for link in self.links]

    @property
    def destinations(self) -> list[str]:
        """Where each link leads that is tracked."""
        return [link if isinstance(link, str) else link[1] for link in self.links]
