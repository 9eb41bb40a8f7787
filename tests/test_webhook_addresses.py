"""Where webhooks may go: to public addresses only, whatever the version of Python calls global."""

import pytest
from pytest_django.fixtures import Settings

from webhooks.addresses import AddressError, check_url, public_addresses

NOT_PUBLIC = [
    # IANA's special-purpose registry of IPv4, the first and the last address of each entry
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.8",
    "192.0.0.9",
    "192.0.0.10",
    "192.0.0.170",
    "192.0.0.192",
    "192.0.0.255",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.0",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "240.0.0.0",
    "255.255.255.255",
    # multicast
    "224.0.0.1",
    "239.255.255.255",
    # a cloud's metadata
    "168.63.129.16",
    # IPv6: unspecified, loopback, IPv4-compatible, discard, not assigned, segment routing, unique-local (and metadata
    # in it), link-local, site-local, multicast
    "::",
    "::1",
    "::7f00:1",
    "100::1",
    "100:0:0:1::1",
    "400::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    # protocol assignments, documentation
    "2001::1",
    "2001:1::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "3fff::1",
    "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
    # what carries an IPv4 address inside: mapped, translated, NAT64 (and its local prefix), 6to4, Teredo
    "::ffff:10.0.0.1",
    "::ffff:192.0.0.192",
    "::ffff:0:7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::192.0.0.192",
    "64:ff9b:1::10.0.0.1",
    "2002:a00:1::",
    "2002:c000:c0::1",
    "2001:0:a00:1::1",
    "2001:0:808:808:0:0:f5ff:fffe",
]
PUBLIC = [
    # the neighbours of what is not public
    "1.0.0.0",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    # in the registry, but globally reachable
    "192.31.196.1",
    "192.52.193.1",
    "192.175.48.1",
    "2620:4f:8000::1",
    "8.8.8.8",
    "2001:200::1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
]
REFUSED_URLS = [
    "ftp://example.com/hook",
    "http:///hook",
    "not an address",
    "https://user:secret@example.com/",
    "http://localhost/hook",
    "http://app.localhost/hook",
    "http://metadata.google.internal/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://127.1/",
    "http://192.0.192/",
    "http://3221225664/",
    "http://0300.0.0.0300/",
    "http://a..b/",
    "http://example.com/a\tb",
    "http://example.com/\x01",
    "http://" + "a" * 64 + ".example.com/",
    "https://example.com:99999/",
]


def url_of(ip: str) -> str:
    """Return an address of a server at an IP address."""
    return f"https://[{ip}]/hook" if ":" in ip else f"https://{ip}/hook"


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_what_is_no_public_address_is_refused(url: str) -> None:
    with pytest.raises(AddressError):
        check_url(url)


@pytest.mark.parametrize("ip", NOT_PUBLIC)
def test_an_ip_address_that_is_not_public_is_refused_as_it_is_written_and_as_a_name_turns_out_to_be(
    ip: str, settings: Settings
) -> None:
    for check in (lambda: check_url(url_of(ip)), lambda: public_addresses(ip, 443)):
        with pytest.raises(AddressError, match="must be a public address"):
            check()
    settings.WEBHOOK_ALLOWED_HOSTS = {ip}
    assert check_url(url_of(ip)).hostname == ip
    assert public_addresses(ip, 443)


@pytest.mark.parametrize("ip", PUBLIC)
def test_an_ip_address_that_is_public_is_taken(ip: str) -> None:
    assert check_url(url_of(ip)).hostname == ip
    assert public_addresses(ip, 443)
