"""Which addresses this service calls on a stranger's word, to fetch a photo or to send a callback.

A URL is taken apart once, here, by the grammar of RFC 3986; what was checked is what is connected
to. A name is asked for its addresses once, all of them must be public, and the connection goes to
one of these and not to the name, so that a second answer of the name server changes nothing.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import quote

import idna

from resources.errors import BadInput, BrokenSetup
from resources.settings import Settings

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Code = Literal["invalid_url", "url_not_allowed", "download_failed", "file_too_large", "empty_file"]

LONGEST = 4096
PORTS = {"https": 443, "http": 80}
EVERY = "*"
UNRESERVED = "!$%&'()*+,/:;=?@[]~"
"""What stays as it is in a path and query: reserved characters, and what is encoded already."""

_URL = re.compile(r"(https?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)
_AUTHORITY = re.compile(
    r"(?:\[([0-9a-f:.]+)\]|([^\[\]:@%/\\\s]+))(?::([0-9]{1,5}))?", re.IGNORECASE
)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LOOKS_LIKE_A_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.IGNORECASE)


def _networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(map(ipaddress.ip_network, text.split()))


# The last line is below 2000::/3, which is all that is public: protocols (Teredo among them),
# documentation, 6to4.
_NOT_PUBLIC = _networks("""
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24
    224.0.0.0/3
    2001::/23 2001:db8::/32 2002::/16 3fff::/20
    """)
"""IANA's registries of special addresses (RFC 6890), multicast and what is reserved."""
_PUBLIC_IPV6 = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_INSIDE = _networks("""
    10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 127.0.0.0/8 100.64.0.0/10 fc00::/7 ::1/128
    """)
"""What an owner's own network has."""
_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        ("168.63.129.16", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254"),
    )
)
"""Where clouds give out a machine's credentials, besides 169.254.0.0/16."""


class CannotFetch(BadInput):
    """An address that may not be called, or that gives nothing usable.

    `again`: it may be otherwise later.
    """

    def __init__(self, code: Code, detail: str, again: bool = False) -> None:
        super().__init__(detail)
        self.code: Code = code
        self.detail = detail
        self.again = again


@dataclass(frozen=True)
class Target:
    """A URL taken apart: `host` is a name in ASCII or an address without brackets, `path` has the
    query with it."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """The whole again, as redirects are relative to it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


@dataclass(frozen=True)
class HostRule:
    """A host that may be called: a name, or all below one; on its own port or the usual ones."""

    name: str
    below: bool = False
    port: int | None = None

    def holds(self, target: Target) -> bool:
        """Whether the target is such a host."""
        port_fits = target.port in ((self.port,) if self.port else PORTS.values())
        if self.below:
            return port_fits and target.host.endswith(f".{self.name}")
        return port_fits and target.host == self.name


@dataclass(frozen=True)
class AddressRules:
    """What may be called: the `hosts` named, where there are any; every public one where there are
    none, or where `every` says so. With `private`, those that are named may have addresses of the
    owner's own network, and plain http."""

    hosts: tuple[HostRule, ...] = ()
    every: bool = True
    private: bool = False

    @classmethod
    def of(cls, chosen: Settings) -> Self:
        """The rules of OKLA_FETCH_HOSTS and OKLA_FETCH_PRIVATE.

        Raises BrokenSetup for a host that is none.
        """
        named = [one.strip() for one in chosen.fetch_hosts.split(",") if one.strip()]
        rules = tuple(_rule_of(one) for one in named if one != EVERY)
        return cls(rules, not named or EVERY in named, chosen.fetch_private)

    def check(self, url: str) -> Target:
        """The target of a URL, as far as can be told without asking for its name's addresses.

        Raises `CannotFetch` (invalid_url, url_not_allowed) with a sentence that has no more of the
        URL than its host.
        """
        target = target_of(url)
        named = self._names(target)
        if not named and not self.every:
            raise CannotFetch(
                "url_not_allowed", f"{target.host} is none of the hosts that we may call"
            )
        if target.scheme != "https" and not (named and self.private):
            raise CannotFetch("url_not_allowed", "give an https:// URL; http:// is not fetched")
        if not named and target.port not in PORTS.values():
            raise CannotFetch(
                "url_not_allowed", f"port {target.port} is not called; serve it on port 443"
            )
        address = _address(target.host)
        if address is not None:
            self._check_addresses(target, [address])
        return target

    def addresses(self, target: Target) -> list[IPAddress]:
        """All addresses of the target's host, each of them allowed. Asks the name server.

        Raises `CannotFetch` where one is not, or there is none.
        """
        literal = _address(target.host)
        if literal is not None:
            found = [literal]
        else:
            try:
                answers = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                answers = []
            found = list(dict.fromkeys(ipaddress.ip_address(answer[4][0]) for answer in answers))
        self._check_addresses(target, found)
        return found

    def _names(self, target: Target) -> bool:
        return any(rule.holds(target) for rule in self.hosts)

    def _check_addresses(self, target: Target, found: Iterable[IPAddress]) -> None:
        allowed = is_of_the_network if self.private and self._names(target) else is_public
        found = list(found)
        if not found or not all(map(allowed, found)):
            # Whether a name is known in our own network is nobody's business.
            raise CannotFetch(
                "url_not_allowed",
                f"{target.host} has no address on the internet that we may call; give a URL that "
                "everybody can reach",
                again=_address(target.host) is None,
            )


def target_of(url: str) -> Target:
    """A URL taken apart. Raises `CannotFetch` (invalid_url) for what is no plain web address."""
    url = url.strip(" ")
    found = None if len(url) > LONGEST or _CONTROL.search(url) else _URL.fullmatch(url)
    if found is None:
        raise CannotFetch("invalid_url", "the URL is no web address; give https://HOST/PATH")
    if "@" in found[2]:
        raise CannotFetch(
            "invalid_url", "a URL with a user name or password is not called; leave them out"
        )
    parts = _AUTHORITY.fullmatch(found[2])
    host = None if parts is None else _host(parts[1], parts[2])
    if parts is None or host is None:
        raise CannotFetch("invalid_url", "the URL's host is no name and no address")
    scheme = found[1].lower()
    port = int(parts[3]) if parts[3] else PORTS[scheme]
    if not 0 < port < 2**16:
        raise CannotFetch("invalid_url", f"there is no port {port}")
    path = found[3] if found[3].startswith("/") else f"/{found[3]}"
    return Target(scheme, host, port, quote(path, safe=UNRESERVED, errors="replace"))


def is_public(address: IPAddress) -> bool:
    """Whether everybody on the internet can reach the address, as far as its number tells.

    One that holds an IPv4 address for a translator (mapped, NAT64) is as public as that; tunnels
    (6to4, Teredo) never are.
    """
    address = _translated(address)
    if address in _METADATA or (address.version == 6 and address not in _PUBLIC_IPV6):
        return False
    return not any(address in network for network in _NOT_PUBLIC)


def is_of_the_network(address: IPAddress) -> bool:
    """Whether it is public or of the owner's own network; never where clouds keep credentials."""
    address = _translated(address)
    inside = any(address in network for network in _INSIDE)
    return address not in _METADATA and (inside or is_public(address))


def _translated(address: IPAddress) -> IPAddress:
    """The IPv4 address that packets to it end up at, where a translator has put one into it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address


def _host(literal: str | None, name: str | None) -> str | None:
    """The host as it is asked for: an IPv6 address, or a name or IPv4 address in ASCII; None for
    what is neither."""
    if literal is not None or name is None:
        return str(address) if isinstance(address := _address(literal or ""), _V6) else None
    try:
        ascii_name = name if name.isascii() else idna.encode(name, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return None
    ascii_name = ascii_name.removesuffix(".").lower()
    labels = ascii_name.split(".")
    if len(ascii_name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    # Numbers as 0x7f.1 and 2130706433 are addresses to some programs and names to others.
    if _LOOKS_LIKE_A_NUMBER.fullmatch(labels[-1]) and _address(ascii_name) is None:
        return None
    return ascii_name


_V6 = ipaddress.IPv6Address


def _address(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _rule_of(text: str) -> HostRule:
    below = text.startswith("*.")
    parts = _AUTHORITY.fullmatch(text.removeprefix("*."))
    host = None if parts is None else _host(parts[1], parts[2])
    if parts is None or host is None:
        raise BrokenSetup(
            f"OKLA_FETCH_HOSTS names {text!r}; give host names separated by commas, each with "
            "`*.` before it or `:PORT` behind it where that is meant"
        )
    return HostRule(host, below, int(parts[3]) if parts[3] else None)
