"""Where messages may go: to public addresses, and to the hosts that WEBHOOK_ALLOWED_HOSTS names.

A product's operator types the address, and the worker stands inside the network: without this, a webhook would be a way
in. It is checked when it is saved and again at each connection, after the name was looked up, for the very address
that is connected to.
"""

import ipaddress
import socket
from typing import Final
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

PORT_OF_SCHEME: Final = {"http": 80, "https": 443}


class AddressError(Exception):
    """Messages may not go there; says why in words that follow the field's name."""


def check_url(url: str) -> SplitResult:
    """Return the parts of an address that messages may go to, as far as can be told without a look-up.

    Raises AddressError.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressError("must be an address such as https://example.com/hooks.") from error
    host, is_plain = parts.hostname or "", url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in PORT_OF_SCHEME or not _is_name(host) or port == 0 or not is_plain:
        raise AddressError("must be an address such as https://example.com/hooks.")
    if parts.username is not None or parts.password is not None:
        raise AddressError("must have no login: messages are signed instead.")
    if is_allowed_by_name(host):
        return parts
    if settings.PRODUCTION and parts.scheme != "https":
        raise AddressError("must begin with https://.")
    if _is_local_name(host):
        raise AddressError(_REFUSED)
    if (literal := _literal(host)) is not None:
        check_ip(literal)
    return parts


def check_ip(address: str) -> None:
    """Raise AddressError for an IP address that is not public, or that carries one inside that is not."""
    ip = ipaddress.ip_address(address)
    is_public = _is_public_v4(ip) if isinstance(ip, ipaddress.IPv4Address) else _is_public_v6(ip)
    if not is_public:
        raise AddressError(_REFUSED)


def _is_public_v4(ip: ipaddress.IPv4Address) -> bool:
    return not any(ip in network for network in _NOT_PUBLIC_V4)


def _is_public_v6(ip: ipaddress.IPv6Address) -> bool:
    """Tell whether an IPv6 address is global unicast, or reaches a public IPv4 address by a mapping or a translator."""
    if ip.ipv4_mapped is not None:
        return _is_public_v4(ip.ipv4_mapped)
    if ip in _NAT64:
        return _is_public_v4(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    if ip.sixtofour is not None:
        return _is_public_v4(ip.sixtofour)
    return ip in _GLOBAL_UNICAST and not any(ip in network for network in _NOT_PUBLIC_V6)


def public_addresses(host: str, port: int) -> list[str]:
    """Look a host up and return its addresses. Raises AddressError where one is not public, OSError without any.

    A host that is allowed by name may have any.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    if not is_allowed_by_name(host):
        for address in addresses:
            check_ip(address.partition("%")[0])
    return addresses


def is_allowed_by_name(host: str) -> bool:
    """Tell whether WEBHOOK_ALLOWED_HOSTS names the host."""
    return host.lower() in settings.WEBHOOK_ALLOWED_HOSTS


def _is_name(host: str) -> bool:
    """Tell whether a host can be looked up at all: labels of 1 to 63 characters, 253 in all; or an IPv6 address."""
    labels = host.removesuffix(".").split(".")
    return ":" in host or (len(host) <= 253 and all(1 <= len(label) <= 63 for label in labels))


def _is_local_name(host: str) -> bool:
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith((".localhost", ".local", ".internal"))


def _literal(host: str) -> str | None:
    """Return the IP address that a host is written as, also in the forms that resolvers take, such as 127.1."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


# A table of our own: which addresses `ipaddress` calls global depends on the version of Python.
# IANA's special-purpose registries, except what they say is globally reachable.
_NOT_PUBLIC_V4: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared, behind a carrier's NAT; the metadata of some clouds
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local; the metadata of most clouds
        "172.16.0.0/12",  # private
        # Protocol assignments; the metadata of one cloud. Two of them, 192.0.0.9 and 192.0.0.10, are globally reachable
        # by the registry, but they are anycast: whoever is nearest answers, which is a server inside.
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # anycast of 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved; broadcast
        "168.63.129.16/32",  # not in the registry: the metadata of one cloud, at an address of its own
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
# Of IPv6 only global unicast is public (RFC 4291), so that what is unique-local, link-local, site-local, multicast,
# loopback, IPv4-compatible or not assigned need not be named.
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_V6: Final = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo tunnels, benchmarks, ORCHID, anycast that is answered inside
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
_REFUSED: Final = (
    "must be a public address: one inside the network is refused, unless the setting WEBHOOK_ALLOWED_HOSTS names it."
)
