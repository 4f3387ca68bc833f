"""Opens that the mail provider itself ascribes to a machine.

Apple Mail Privacy Protection loads images whether or not the mail is read. Several providers
recognise it and mark such opens; anymail reports them as any other.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final


def is_machine_open(event: Any, esp_name: str) -> bool:
    """Return whether a provider says that a machine has loaded the image.

    Args:
        event: an event of anymail: opened.
        esp_name: anymail's name of the mail provider.
    """
    says_so = _SAYS_SO.get(esp_name)
    if says_so is None or not isinstance(event.esp_event, Mapping):
        return False
    try:
        return says_so(event.esp_event)
    except (AttributeError, LookupError, TypeError, ValueError):
        return False


def _sparkpost(raw: Mapping[str, Any]) -> bool:
    (event,) = raw["msys"].values()
    return event.get("user_agent_parsed", {}).get("is_prefetched") is True


_SAYS_SO: Final[Mapping[str, Callable[[Mapping[str, Any]], bool]]] = {
    # https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event: sg_machine_open
    "SendGrid": lambda raw: raw.get("sg_machine_open") in {True, "true"},
    # https://developers.brevo.com/docs/transactional-webhooks: opens by Apple's proxy
    "Brevo": lambda raw: raw.get("event") in {"proxy_open", "unique_proxy_open"},
    # https://developers.sparkpost.com/api/webhooks/: user_agent_parsed.is_prefetched
    "SparkPost": _sparkpost,
}
