"""Networks to ban, each with the visitors that a ban affects and objections to it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.http import HttpRequest
from django.utils.translation import gettext

from tracking import bans, client_address, tokens
from tracking.admin.bans.permissions import ban_visibility
from tracking.admin.masking import display_network, may_view_full_addresses
from tracking.bans import bulk_ban
from tracking.bans.bulk_ban import BanEntry

_SALT = "tracking.admin.bans.candidates"


class Candidate(NamedTuple):
    """A network to ban, or several that look the same to the user because they are masked."""

    #: The network as the user may see it.
    shown: str
    #: Tokens of the networks, for :func:`networks_from_tokens`.
    tokens: list[str]
    #: How many current visitors a ban affects; ``None`` if that would reveal an address.
    visitors: int | None
    #: Reasons that forbid the ban.
    objections: list[str]
    #: The ban in force, if there is one that the user may know of.
    known: BanEntry | None


def ban_candidates(request: HttpRequest, networks: Sequence[str]) -> list[Candidate]:
    """Return a candidate for each network, in the same order.

    Args:
        request: the current request.
        networks: addresses or networks.
    """
    full, own_address = may_view_full_addresses(request), client_address.client_address(request)
    visible = [network for network in networks if ban_visibility(request)(network)]
    visitors = bans.count_affected_by_network(visible)
    known = bulk_ban.active_bans(visible)
    return [
        Candidate(
            display_network(network, full=full),
            [network_token(network)],
            visitors.get(network),
            bans.find_objections(network, own_address=own_address),
            known.get(network),
        )
        for network in networks
    ]


def merged_candidates(request: HttpRequest, networks: Sequence[str]) -> list[Candidate]:
    """Do the same, with one candidate for all networks that look the same to the user."""
    merged: dict[tuple[str, ...], Candidate] = {}
    for candidate in ban_candidates(request, networks):
        first = merged.setdefault((candidate.shown, *candidate.objections), candidate)
        if first is not candidate:
            first.tokens.extend(candidate.tokens)
    return list(merged.values())


def ban_choices(address: str) -> dict[str, str]:
    """Return the networks that may be banned to block a visitor, each with the button's text.

    Args:
        address: the recorded IP address of the visitor.
    """
    # Where addresses are recorded masked, both networks are the same. The second text wins:
    # a ban then covers more than one address.
    return {
        bans.network_to_ban(address, wide=False): gettext("Ban this address"),
        bans.network_to_ban(address, wide=True): gettext("Ban this network"),
    }


def network_token(network: str) -> str:
    """Return an encrypted network, so that a page reveals no more than its user may see."""
    return tokens.dumps([network], {}, salt=_SALT)


def networks_from_tokens(texts: Iterable[str]) -> list[str]:
    """Return the networks of those tokens that are authentic."""
    networks = []
    for text in texts:
        try:
            networks.append(str(tokens.loads(text, salt=_SALT).args[0]))
        except tokens.BadToken:
            continue
    return networks
