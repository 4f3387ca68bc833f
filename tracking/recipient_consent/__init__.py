"""Consent of recipients of mail: who agrees that opens and clicks are recorded.

    from tracking import recipient_consent

    recipient_consent.grant(subscriber, how="sign-up form", text="sign-up 2026-03")
    recipient_consent.withdraw("anna@example.com")

=======================  ===================================================================
:mod:`.ledger`           write down what a recipient says, and look it up
:mod:`.decisions`        whether an open or a click is recorded
:mod:`.snapshot`         the ledger in the memory of each process
:mod:`.recipients`       who a recipient is: a row, or an address
:mod:`.address_key`      the key of the hashes of addresses
:mod:`.recipient_pages`  what the two pages below share
:mod:`.preferences`      the page by which recipients change their mind
:mod:`.unsubscribing`    one click unsubscribes (RFC 8058)
=======================  ===================================================================
"""

from tracking.models import ConsentState
from tracking.recipient_consent.address_key import AddressKeyLost
from tracking.recipient_consent.decisions import allows
from tracking.recipient_consent.ledger import ConsentOf, deny, grant, history, state, withdraw

__all__ = [
    "AddressKeyLost",
    "ConsentOf",
    "ConsentState",
    "allows",
    "deny",
    "grant",
    "history",
    "state",
    "withdraw",
]
