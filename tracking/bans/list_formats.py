"""Read the lines of ban lists, in the forms in which people have them.

    reader = ListReader()
    reader.read("192.0.2.1-192.0.2.2")     # two bans
    reader.read("ip;Grund;Ablauf")         # none: from now on, columns go by these names
    reader.read("192.0.2.7;Spam;31.12.2030")

Each line is read by its own form, so that lists can be joined. What is not understood raises an
error: an expiry that is not read would make a ban permanent, and an exception that is not read
would ban who must not be banned.
"""

import csv
import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from socket import AF_INET, inet_ntop, inet_pton
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tracking import client_address
from tracking.bans.expiry import DATE, has_future_date, parse_expiry_cell
from tracking.csv_cells import unguard
from tracking.models.fields import canonical_form

COLUMNS = ("network", "reason", "expires_at")

#: Characters of the longest line of CSV or JSON: enough for all columns with quotes.
MAX_LINE_LENGTH = 1_000
MAX_REASON_LENGTH = 200

READABLE_FORMS: str | Promise = gettext_lazy(
    "Readable forms: an address, network, range (192.0.2.1-192.0.2.9) or wildcard (192.0.2.*) per "
    "line; CSV with commas, semicolons or tabs; JSON lines; the lists of Spamhaus, FireHOL, ipsum, "
    "AbuseIPDB, CrowdSec and Tor; deny rules of nginx and Apache; output of fail2ban and ipset; "
    "all of these as UTF-8, UTF-16 or Latin-1, also compressed by gzip."
)


class Ban(NamedTuple):
    """A ban that a line asks for.

    Attributes:
        network: the canonical form of an address or network.
        reason: the reason, at most 200 characters.
        expires_at: when it expires, or ``None`` for never.
    """

    network: str
    reason: str = ""
    expires_at: datetime | None = None


class ListReader:
    """Reads a list line by line, and remembers its header."""

    def __init__(self) -> None:
        """Start with a list that has no header."""
        self._delimiter: str | None = None
        self._header: _Columns | None = None
        self._jail = ""

    def read(self, line: str) -> Sequence[Ban]:
        """Return the bans of a line: none if it is blank, a comment, a header or a setting.

        Raises:
            ValueError: the line is invalid; the message is translated.
        """
        text = line.strip().removeprefix("\ufeff")
        if address := _canonical_ipv4(text):  # most lines
            return [Ban(address)]
        if not text or text[0] in "#;":
            return ()
        if text[0] == "{":
            return _read_json(text)
        found = self._read_statement(text)
        return self._read_cells(text) if found is None else found

    def _read_statement(self, text: str) -> Sequence[Ban] | None:
        """Return the bans of a line of a program's settings or output; ``None`` for others."""
        starts_with_number = text[0].isdigit()
        if starts_with_number and " " not in text:
            return None
        for pattern, read in _AFTER_ADDRESS if starts_with_number else _STATEMENTS:
            if found := pattern.fullmatch(text):
                return read(found)
        if found := _JAIL.fullmatch(text):
            self._jail = found[1]
            return ()
        if found := _BANNED_BY_FAIL2BAN.fullmatch(text):
            return _bans(found[1].split(), parse_networks, reason=self._jail)
        return None

    def _read_cells(self, text: str) -> Sequence[Ban]:
        """Return the ban of a line of CSV, or of a line with nothing but a network."""
        if found := _EXCEL_SEPARATOR.fullmatch(text):
            self._delimiter = found[1]
            return ()
        if self._header is None or self._header.address == 0:
            text = _without_comment(text, "#" if self._delimiter == ";" else "#;")
        if len(text) > MAX_LINE_LENGTH:
            raise ValueError(_("The line is longer than %d characters.") % MAX_LINE_LENGTH)
        delimiter = self._delimiter or _first_delimiter(text)
        cells = _split_cells(text, delimiter) if delimiter in text or '"' in text else [text]
        if not text[0].isdigit() and (columns := _Columns.of_header(cells)):
            if len(cells) > 1:
                self._header, self._delimiter = columns, delimiter
            return ()
        return self._header.read(cells) if self._header else _read_positions(cells, delimiter)


def parse_networks(text: str) -> list[str]:
    """Return the canonical forms of the networks that a text names.

    Args:
        text: an address, a network, a range such as ``192.0.2.1-192.0.2.9``, or a wildcard such as
            ``192.0.2.*``.

    Raises:
        ValueError: it is none of these; the message is translated.
    """
    text = text.strip()
    if address := _canonical_ipv4(text):
        return [address]
    if found := client_address.network_of(text):
        return [canonical_form(found)]
    if "-" in text:
        return _parse_range(text)
    if found_wildcard := _WILDCARD.fullmatch(text):
        return _parse_parts(found_wildcard[1])
    raise ValueError(_("This is neither an IP address nor a network such as 192.0.2.0/24."))


def _canonical_ipv4(text: str) -> str | None:
    """Return an IPv4 address, or ``None``: ten times faster than the library for networks."""
    try:
        return inet_ntop(AF_INET, inet_pton(AF_INET, text))
    except (OSError, ValueError):
        return None


def _parse_range(text: str) -> list[str]:
    try:
        first, last = (ipaddress.ip_address(end.strip()) for end in text.split("-"))
        networks = ipaddress.summarize_address_range(first, last)
        found = [client_address.network_of(str(network)) for network in networks]
    except (ValueError, TypeError) as error:
        raise ValueError(
            _("This is not a range of addresses such as 192.0.2.1-192.0.2.9.")
        ) from error
    return [canonical_form(network) for network in found if network]


_WILDCARD = re.compile(r"((?:\d{1,3}\.){1,3})\*(?:\.\*){0,3}", re.ASCII)


def _parse_parts(text: str) -> list[str]:
    """Return the network of the first octets of an address, as Apache writes it: ``10.1.``."""
    octets = text.rstrip(".").split(".")
    padded = ".".join([*octets, "0", "0", "0"][:4])
    return parse_networks(f"{padded}/{8 * len(octets)}")


_APACHE_PARTS = re.compile(r"\d{1,3}(?:\.\d{1,3}){0,2}\.?", re.ASCII)


def _parse_apache_address(text: str) -> list[str]:
    return _parse_parts(text) if _APACHE_PARTS.fullmatch(text) else parse_networks(text)


def _bans(
    addresses: Iterable[str],
    parse: Callable[[str], list[str]],
    reason: str = "",
    expires_at: datetime | None = None,
) -> list[Ban]:
    reason = " ".join(reason.splitlines())
    if len(reason) > MAX_REASON_LENGTH:
        raise ValueError(_("The reason is longer than %d characters.") % MAX_REASON_LENGTH)
    if _NOT_STORABLE.search(reason):
        raise ValueError(_("The reason contains characters that cannot be stored."))
    return [Ban(network, reason, expires_at) for text in addresses for network in parse(text)]


# NUL, which PostgreSQL refuses, and halves of surrogate pairs, which JSON can contain.
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")


# CSV


def _read_positions(cells: list[str], delimiter: str) -> Sequence[Ban]:
    """Return the bans of a line of a list without header: network, reason and expiry."""
    if len(cells) > len(COLUMNS):
        raise ValueError(
            _("There are more than three columns. Put quotes around a reason with commas.")
        )
    if len(cells) == 2:  # noqa: PLR2004
        if DATE.fullmatch(cells[1]):
            raise ValueError(_future_date(COLUMNS[1]))
        if delimiter == "\t" and cells[1].isdecimal():
            cells = cells[:1]  # ipsum: on how many lists the address is
    network, reason, expires_at = (*cells, "", "")[: len(COLUMNS)]
    return _bans([network], parse_networks, reason, parse_expiry_cell(expires_at))


_EXCEL_SEPARATOR = re.compile(r'"?sep=([,;\t])"?', re.IGNORECASE)
_FIRST_DELIMITER = re.compile(r'(?:"[^"]*"|[^,;\t"])*?([,;\t])')
_COMMENT_OR_COLUMN = re.compile(r'[,"#;\t]')


def _without_comment(text: str, signs: str) -> str:
    """Return a line without the comment behind its network.

    Comments follow the network only: a reason may contain ``#`` and ``;``. A semicolon starts a
    comment after white space only, as in Spamhaus DROP, and not if a date shows columns.

    Args:
        text: the line.
        signs: the characters that start a comment.

    Raises:
        ValueError: the comment may be an expiry.
    """
    found = _COMMENT_OR_COLUMN.search(text)
    if found is None:
        return text
    before = text[: found.start()]
    rest = text[len(before) :]
    comment = rest.lstrip()
    if not comment or comment[0] not in signs:
        return text
    if comment[0] == ";":
        is_column = comment == rest and not before[-1:].isspace()
        if is_column or (";" in comment[1:] and DATE.search(comment)):
            return text
    if has_future_date(comment):
        raise ValueError(
            _("The comment contains a time in the future. Put an expiry into the third column.")
        )
    return before.rstrip()


def _first_delimiter(text: str) -> str:
    found = _FIRST_DELIMITER.match(text)
    return found[1] if found else ","


def _split_cells(text: str, delimiter: str) -> list[str]:
    if "\0" in text:
        raise ValueError(_("The line contains a NUL character."))
    # One line at a time, so an unclosed quote does not swallow the rest of the file.
    try:
        [cells] = csv.reader([text], delimiter=delimiter)
    except (csv.Error, ValueError) as error:
        raise ValueError(_("This is not a valid CSV line.")) from error
    return [unguard(cell.strip()) for cell in cells]


#: Names of columns, in lower case and without other characters than letters and digits.
_ADDRESSES = (
    *("network", "cidr", "ip", "ipaddress", "address", "value", "range", "prefix", "subnet"),
    *("sourceip", "srcip", "netzwerk", "netz", "adresse", "ipadresse"),
)
_REASONS = (
    *("reason", "comment", "scenario", "description", "note", "sblid"),
    *("grund", "kommentar", "bemerkung", "beschreibung"),
)
_EXPIRIES = re.compile(r"bis|ttl|timeout|.*(expir|until|duration|ablauf|läuftab|gültigbis|dauer).*")

#: What is to be done with an address, if that is not a ban. CrowdSec calls it action or type.
_ACTIONS = ("action", "type", "remediation")
_OTHER_ACTIONS = {"captcha", "throttle", "allow", "accept", "pass", "whitelist", "bypass"}

#: CrowdSec writes addresses as ``Ip:192.0.2.7`` and ``Range:192.0.2.0/24``.
_SCOPE = re.compile(r"(?:ip|range):", re.IGNORECASE)


class _Columns(NamedTuple):
    """Where the columns of a list are, by their names in its header."""

    names: list[str]
    address: int
    reason: int | None
    expiries: list[int]
    actions: list[int]
    simulated: int | None

    @classmethod
    def of_header(cls, cells: Sequence[str]) -> "_Columns | None":
        """Return the columns; ``None`` if these are not the cells of a header."""
        keys = ["".join(filter(str.isalnum, cell.lower())) for cell in cells]
        address = _first_of(_ADDRESSES, keys)
        if address is None or any(map(client_address.network_of, cells)):
            return None
        return cls(
            names=list(cells),
            address=address,
            reason=_first_of(_REASONS, keys),
            expiries=[number for number, key in enumerate(keys) if _EXPIRIES.fullmatch(key)],
            actions=[number for number, key in enumerate(keys) if key in _ACTIONS],
            simulated=_first_of(("simulated",), keys),
        )

    def read(self, cells: Sequence[str]) -> list[Ban]:
        """Return the bans of a line.

        Raises:
            ValueError: the line is invalid; the message is translated.
        """
        if any(cells[len(self.names) :]):
            raise ValueError(_("The line has more columns than the header."))
        cells = [*cells, *[""] * (len(self.names) - len(cells))]
        self._check_action(cells)
        ends = [parse_expiry_cell(cells[number]) for number in self.expiries]
        known = {self.address, self.reason, *self.expiries}
        for number, cell in enumerate(cells[: len(self.names)]):
            if number not in known and has_future_date(cell):
                raise ValueError(_future_date(self.names[number]))
        return _bans(
            [_SCOPE.sub("", cells[self.address], count=1)],
            parse_networks,
            "" if self.reason is None else cells[self.reason],
            min((end for end in ends if end is not None), default=None),
        )

    def _check_action(self, cells: Sequence[str]) -> None:
        for number in self.actions:
            if cells[number].lower() in _OTHER_ACTIONS:
                raise ValueError(_("This is not a ban: %s.") % cells[number])
        if self.simulated is not None and cells[self.simulated].lower() in ("true", "1"):
            raise ValueError(_("This is not a ban: %s.") % self.names[self.simulated])


def _first_of(names: Sequence[str], keys: Sequence[str]) -> int | None:
    return next((keys.index(name) for name in names if name in keys), None)


def _future_date(column: str) -> str:
    return (
        _("The column %s contains a time. If the ban ends then, name the column expires_at.")
        % column
    )


# JSON lines


def _read_json(text: str) -> Sequence[Ban]:
    """Return the ban of a JSON object, by its names: Spamhaus, AbuseIPDB, CrowdSec."""
    if len(text) > MAX_LINE_LENGTH:
        raise ValueError(_("The line is longer than %d characters.") % MAX_LINE_LENGTH)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(_("This is not a valid JSON object.")) from error
    columns = _Columns.of_header(list(found))
    if columns is None:
        if found.get("type") == "metadata":  # the last line of Spamhaus DROP
            return ()
        raise ValueError(_("The JSON object names no address, such as in cidr or ip."))
    return columns.read(["" if value is None else str(value) for value in found.values()])


# Statements and output of programs. The readers below get a match.


def _skip(_found: re.Match[str]) -> Sequence[Ban]:
    return ()


def _refuse_exception(_found: re.Match[str]) -> Sequence[Ban]:
    raise ValueError(_("This allows an address. Exceptions cannot be imported."))


def _read_network(found: re.Match[str]) -> Sequence[Ban]:
    return _bans([found[1]], parse_networks)


def _read_apache(found: re.Match[str]) -> Sequence[Ban]:
    return _bans(found[1].split(), _parse_apache_address)


def _read_banip_with_time(found: re.Match[str]) -> Sequence[Ban]:
    # A negative duration means for ever.
    is_permanent = found[2].startswith("-")
    return _bans(
        [found[1]], parse_networks, "", None if is_permanent else parse_expiry_cell(found[3])
    )


def _read_ipset(found: re.Match[str]) -> Sequence[Ban]:
    reason, expires_at = "", None
    for name, seconds, comment in _IPSET_OPTION.findall(found[2]):
        if name == "nomatch":
            return _refuse_exception(found)
        if name == "comment":
            reason = comment
        elif seconds and int(seconds):  # 0 means for ever
            expires_at = parse_expiry_cell(f"{seconds}s")
    return _bans([found[1]], parse_networks, reason, expires_at)


_OPTION = (
    r'timeout\s+\d{1,12}|comment\s+"[^"]*"|(?:packets|bytes|skbmark|skbprio|skbqueue)\s+\S+|nomatch'
)
_IPSET_OPTION = re.compile(
    r'\s(nomatch|comment|timeout)(?:(?<=timeout)\s+(\d{1,12})|(?<=comment)\s+"([^"]*)")?', re.ASCII
)
_IPSET_COMMAND = r"(?:ipset\s+)?(?:(?:-exist|-!)\s+)?"
_IPSET_ADD = rf"{_IPSET_COMMAND}(?:add|-A)\s+(?:(?:-exist|-!)\s+)?\S+"
_IPSET_HEADER = "name|type|revision|header|size in memory|references|number of entries|members"
_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_APACHE_BLOCKS = (
    "RequireAll|RequireAny|RequireNone|Limit|LimitExcept|Directory|DirectoryMatch|Files|FilesMatch|"
    "Location|LocationMatch|IfModule"
)

_FAIL2BAN_FIGURES = (
    "currently failed|total failed|file list|journal matches|currently banned|total banned"
)

_Readers = Sequence[tuple[re.Pattern[str], Callable[[re.Match[str]], Sequence[Ban]]]]

#: Output that starts with an address.
_AFTER_ADDRESS: _Readers = [
    # fail2ban-client get JAIL banip --with-time; ipset list
    (re.compile(rf"(\S+)\s+{_TIME} \+ (-?\d+) = ({_TIME})", re.ASCII), _read_banip_with_time),
    (re.compile(rf"(\S+)((?:\s+(?:{_OPTION}))+)", re.ASCII), _read_ipset),
]

_STATEMENTS: _Readers = [
    *_AFTER_ADDRESS,
    *(
        (re.compile(pattern, re.ASCII | re.IGNORECASE), read)
        for pattern, read in [
            # https://nginx.org/en/docs/http/ngx_http_access_module.html
            (r"deny\s+([^\s;#]+)\s*;\s*(?:#.*)?", _read_network),
            (r"allow\s+[^\s;#]+\s*;.*", _refuse_exception),
            # https://httpd.apache.org/docs/2.4/mod/mod_access_compat.html and mod_authz_core.html
            (r"(?:deny\s+from|require\s+not\s+ip)\s+(.+)", _read_apache),
            (r"order\s+(?:allow\s*,\s*deny|deny\s*,\s*allow)", _skip),
            (r"(?:allow\s+from\s+all|require\s+all\s+granted)", _skip),
            (rf"</?(?:{_APACHE_BLOCKS})\b[^<>]*>", _skip),
            (r"(?:allow\s+from|require\s+ip)\s.*", _refuse_exception),
            # https://metrics.torproject.org/collector.html#type-tordnsel
            (r"exitaddress\s+(\S+)(?:\s.*)?", _read_network),
            (r"(?:exitnode|published|laststatus)\s.*", _skip),
            # fail2ban-client status JAIL; get JAIL banip --with-time
            (r"[|`\s]*-\s*(?:filter|actions)", _skip),
            (rf"[|`\s]*-\s*(?:{_FAIL2BAN_FIGURES}):.*", _skip),
            # ipset save; ipset list
            (rf"{_IPSET_ADD}\s+(\S+)((?:\s+(?:{_OPTION}))*)", _read_ipset),
            (rf"{_IPSET_COMMAND}(?:create|-N)\s.*|commit", _skip),
            (rf"(?:{_IPSET_HEADER}):.*", _skip),
        ]
    ),
]

_JAIL = re.compile(r"Status for the jail:\s*(.+)")
_BANNED_BY_FAIL2BAN = re.compile(r"[|`\s]*-?\s*Banned IP list:(.*)")
