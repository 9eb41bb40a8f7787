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
    """Raise AddressError for an IP address that is not public."""
    ip = ipaddress.ip_address(address)
    # What an IPv6 address carries inside counts as well: a mapped IPv4 address, 6to4 and Teredo tunnels, NAT64.
    carried = [ip]
    if isinstance(ip, ipaddress.IPv6Address):
        carried += [each for each in (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())) if each is not None]
        if ip in _NAT64:
            carried.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    if not all(each.is_global and not each.is_multicast and not _is_special(each) for each in carried):
        raise AddressError(_REFUSED)


def _is_special(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Tell whether an address is not for the public although it is in no private range.

    Of IPv6 only global unicast is public (RFC 4291), and what stands for an IPv4 address in it.
    """
    if isinstance(ip, ipaddress.IPv4Address):
        return any(ip in network for network in _SPECIAL)
    return ip not in _GLOBAL_UNICAST and ip not in _NAT64 and ip.ipv4_mapped is None


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


_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
# A cloud's own metadata address, and the anycast of 6to4 relays.
_SPECIAL: Final = (ipaddress.ip_network("168.63.129.16/32"), ipaddress.ip_network("192.88.99.0/24"))
_REFUSED: Final = (
    "must be a public address: one inside the network is refused, unless the setting WEBHOOK_ALLOWED_HOSTS names it."
)
