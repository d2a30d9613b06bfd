"""Where does a request come from? One answer for HTTP and for sockets, with and without proxies of ours in between."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_CHARACTERS = 64
SITE_BITS = 64


def client_address(environ: Mapping[str, Any]) -> str:
    """The client's address by CGI's variables: the peer's; behind proxies of TRUSTED_PROXIES, the last one in
    X-Forwarded-For that is no such proxy. What a client has put before it counts for nothing.
    """
    peer, forwarded = environ.get("REMOTE_ADDR") or "", environ.get("HTTP_X_FORWARDED_FOR", "")
    return address_behind(peer, forwarded, settings.TRUSTED_PROXIES)


def address_behind(peer: str, forwarded: str, trusted: tuple[Network, ...]) -> str:
    address = parsed(peer)
    # A Unix socket has no address, and a proxy on this machine at its other end.
    is_proxy = is_unix_socket(peer) if address is None else is_within(address, trusted)
    for hop in reversed(forwarded.split(",")) if forwarded and is_proxy else ():
        named = parsed(hop)
        if named is None:
            break
        address = named
        if not is_within(address, trusted):
            break
    return str(address or "")


def is_unix_socket(peer: str) -> bool:
    return not peer or peer.startswith("unix:")


def is_within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def parsed(text: str) -> Address | None:
    """The address, which may stand in brackets and have a port; None for anything else."""
    return parsed_short(text) if len(text) <= MAX_CHARACTERS else None


@lru_cache(maxsize=4096)
def parsed_short(text: str) -> Address | None:
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # An IPv4 client of a socket that takes both.
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=4096)
def site_of(address: str) -> str:
    """What is counted as one client: an IPv4 address, or the /64 of an IPv6 one, all of which one client may use."""
    return str(ip_network((address.partition("%")[0], SITE_BITS), strict=False)) if ":" in address else address
