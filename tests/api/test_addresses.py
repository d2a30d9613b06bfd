"""A client's address: what a proxy of ours says of it counts, what anybody else says does not."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.addresses import address_behind, client_address, site_of

LOCAL = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
BALANCER = (*LOCAL, ip_network("10.0.0.0/8"))

addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
outside = addresses.filter(
    lambda text: (
        not any((getattr(ip_address(text), "ipv4_mapped", None) or ip_address(text)) in each for each in BALANCER)
    )
)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.5", "", "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),  # forged: the peer is no proxy of ours
        ("127.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("::1", "203.0.113.5", "203.0.113.5"),
        ("::ffff:127.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("", "203.0.113.5", "203.0.113.5"),  # a Unix socket
        ("unix:", "203.0.113.5", "203.0.113.5"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.5", "203.0.113.5"),  # the client has forged the first
        ("127.0.0.1", "198.51.100.1, 203.0.113.5, 10.0.0.7", "203.0.113.5"),  # two proxies of ours
        ("127.0.0.1", "10.0.0.8, 10.0.0.7", "10.0.0.8"),  # a client in the proxies' own network
        ("127.0.0.1", "203.0.113.5:4711", "203.0.113.5"),
        ("127.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("127.0.0.1", "::ffff:203.0.113.5", "203.0.113.5"),
        ("127.0.0.1", "203.0.113.5, unknown", "127.0.0.1"),
        ("127.0.0.1", ", ,", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("strange", "203.0.113.5", ""),
        ("", "", ""),
    ],
)
def test_the_last_hop_that_is_no_proxy_of_ours_is_the_client(peer: str, forwarded: str, address: str) -> None:
    assert address_behind(peer, forwarded, BALANCER) == address


def test_without_trusted_proxies_the_header_counts_for_nothing() -> None:
    assert address_behind("127.0.0.1", "203.0.113.5", ()) == "127.0.0.1"


@given(peer=outside, forwarded=st.text(max_size=200))
def test_nothing_that_an_untrusted_peer_sends_changes_its_address(peer: str, forwarded: str) -> None:
    assert address_behind(peer, forwarded, BALANCER) == address_behind(peer, "", BALANCER)


@given(client=outside, before=st.text(max_size=200))
def test_nothing_that_a_client_sends_changes_what_our_proxy_says_of_it(client: str, before: str) -> None:
    assert address_behind("127.0.0.1", f"{before}, {client}", BALANCER) == address_behind(client, "", BALANCER)


def test_the_settings_name_the_proxies(settings: Any) -> None:
    environ = {"REMOTE_ADDR": "10.0.0.7", "HTTP_X_FORWARDED_FOR": "203.0.113.5"}
    assert client_address(environ) == "10.0.0.7"
    settings.TRUSTED_PROXIES = BALANCER
    assert client_address(environ) == "203.0.113.5"


def test_an_ipv6_client_is_its_network_of_64_bits() -> None:
    assert site_of("2001:db8:1:2:3::4") == site_of("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert site_of("fe80::1%eth0") == "fe80::/64"
    assert site_of("203.0.113.5") == "203.0.113.5"
    assert site_of("") == ""
