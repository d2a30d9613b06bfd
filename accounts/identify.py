"""Who is it? From the headers of a request, or the token in a socket's address, to a `Caller`.

Headers come as CGI's variables. The first credential that is there counts, and it must be good: in this order
``Authorization: Bearer`` (an access token), ``Authorization: Api-Key``, ``X-API-Key``, ``X-Liqui-Token``, the token in
the address (either kind).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.utils.crypto import constant_time_compare
from rest_framework_simplejwt.exceptions import TokenError

from accounts.believed import Found, recalled
from accounts.callers import Caller
from accounts.keys import KEY_BEGINS, KeyRefused, key_use, key_used
from accounts.models import ApiKey
from accounts.roles import Role, role_of
from accounts.tokens import access_user
from api.addresses import client_address

SCHEMES = {"bearer": "jwt", "api-key": "key"}
HEADERS = {"HTTP_X_API_KEY": "key", "HTTP_X_LIQUI_TOKEN": "token"}
SCOPE_ROLES = {ApiKey.Scope.READ: Role.USER, ApiKey.Scope.OPERATE: Role.OPERATOR}


class BadCredentials(Exception):
    """The credentials are not good; the text says why."""


def identify(environ: Mapping[str, Any], token: str = "") -> Caller | None:
    """Whose credentials these are, looked up now; None where there are none. Raises `BadCredentials`."""
    credentials = credentials_in(environ, token)
    return None if credentials is None else known(find(*credentials), environ)


def identify_quickly(environ: Mapping[str, Any], token: str = "") -> Caller | None:
    """The same, for the hot path: what this process has found out a few seconds ago is believed."""
    credentials = credentials_in(environ, token)
    return None if credentials is None else known(recalled(credentials, find), environ)


def credentials_in(environ: Mapping[str, Any], token: str) -> tuple[str, str] | None:
    """The first credential and its kind. Other schemes of Authorization are somebody else's: a proxy's, say."""
    authorization = environ.get("HTTP_AUTHORIZATION")
    if authorization is not None:
        scheme, _, text = authorization.partition(" ")
        if kind := SCHEMES.get(scheme.lower()):
            return kind, text.strip()
    for name, kind in HEADERS.items():
        if (text := environ.get(name)) is not None:
            return kind, text
    if token:
        return "key" if token.startswith(KEY_BEGINS) else "jwt", token
    return None


def find(kind: str, text: str) -> Found:
    return FINDERS[kind](text)


def known(found: Found, environ: Mapping[str, Any]) -> Caller:
    if isinstance(found, str):
        raise BadCredentials(found)
    return replace(found, address=client_address(environ))


def find_by_access_token(text: str) -> Found:
    try:
        user = access_user(text)
    except TokenError as error:
        return str(error)
    return Caller(user.get_username(), role_of(user), "jwt", f"user:{user.pk}", user.pk)


def find_by_key(text: str) -> Found:
    try:
        key = key_use(text)
    except KeyRefused as error:
        return str(error)
    key_used(key)
    role = SCOPE_ROLES[ApiKey.Scope(key.scope)]
    if key.owner is not None:
        # Who has lost a role must not keep it in a key.
        role = min(role, role_of(key.owner))
    return Caller(f"key: {key.name}", role, "key", f"key:{key.pk}", key.owner.pk if key.owner else None)


def find_by_liqui_token(text: str) -> Found:
    if not settings.LIQUI_TOKEN or not constant_time_compare(text, settings.LIQUI_TOKEN):
        return "Wrong token"
    return Caller("LIQUI_TOKEN", Role.OPERATOR, "token", "token")


FINDERS: dict[str, Callable[[str], Found]] = {
    "jwt": find_by_access_token,
    "key": find_by_key,
    "token": find_by_liqui_token,
}
