"""Mail: tracked links and a pixel in each message, and a record of what was sent.

    from tracking import mail

    message = EmailMultiAlternatives("Spring letter", text, to=[subscriber.email])
    message.attach_alternative(html, "text/html")
    message.tracking = {"campaign": "spring-letter", "entity": subscriber}
    message.send()      # by TrackingEmailBackend

=======================  ========================================================
:mod:`.backend`          the mail backend that wraps the one that sends
:mod:`.instrumenting`    change a message: ``instrument()``
:mod:`.options`          what is asked for a message
:mod:`.rewriting`        replace links, add the pixel, byte for byte
:mod:`.html_links`       where links stand in HTML
:mod:`.message_parts`    the texts of a message
:mod:`.campaigns`        the source of a campaign
:mod:`.sent`             the record of a message that went out
=======================  ========================================================
"""

from tracking.mail.backend import TrackingEmailBackend
from tracking.mail.instrumenting import instrument

__all__ = ["TrackingEmailBackend", "instrument"]
