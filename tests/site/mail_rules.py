"""Rules of a site for ``TRACKING_MAIL``."""


def to_anna(message):
    """Track what goes to Anna."""
    return {"campaign": "for-anna"} if "anna@a.example" in message.to else None
