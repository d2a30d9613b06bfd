"""Access and refresh tokens: issued at a sign-in, rotated, revoked.

The tokens of one sign-in are a family. A refresh token is good for one use; one that is used again was stolen, or its
successor was, and the whole family is revoked. The ledger is simplejwt's, whose ``token`` holds the family's name and
not, as simplejwt would, the token itself.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, Token

from accounts.believed import forget
from accounts.roles import Role, role_of

# Two tabs of one page refresh at the same time: the second one is refused, but it is no thief.
GRACE = timedelta(seconds=10)
STAMP_CHARACTERS = 16


class RefreshToken(Token):
    token_type = "refresh"  # noqa: S105
    lifetime = settings.SIMPLE_JWT["REFRESH_TOKEN_LIFETIME"]


@dataclass(frozen=True, slots=True)
class Issued:
    """What a client gets."""

    access: str
    refresh: str
    expires_in_s: int


class TokenReplayed(TokenError):
    """A refresh token was used again."""

    def __init__(self, user: User) -> None:
        super().__init__("Token has been used")
        self.user = user


def tokens_issue(user: User, family: str = "") -> Issued:
    """A new family's tokens, or the next ones of this family."""
    claims = {"sub": str(user.pk), "family": family or uuid4().hex, "stamp": stamp_of(user)}
    refresh, access = with_claims(RefreshToken(), claims), with_claims(AccessToken(), claims)
    access["username"], access["roles"] = user.get_username(), role_names(role_of(user))
    OutstandingToken.objects.create(
        user=user,
        jti=refresh["jti"],
        token=claims["family"],
        created_at=refresh.current_time,
        expires_at=datetime.fromtimestamp(refresh["exp"], UTC),
    )
    return Issued(str(access), str(refresh), access["exp"] - access["iat"])


def tokens_rotate(text: str) -> tuple[User, Issued]:
    """The next tokens for this refresh token, which is spent with that. Raises `TokenError`, `TokenReplayed`."""
    token = read(RefreshToken, text)
    user = user_of(token)
    with transaction.atomic():
        if spend(token):
            return user, tokens_issue(user, token["family"])
    spent = BlacklistedToken.objects.filter(token__jti=token["jti"]).first()
    if spent is not None and timezone.now() - spent.blacklisted_at > GRACE:
        family_revoke(user.pk, token["family"])
        raise TokenReplayed(user)
    raise TokenError("Token has been used")


def tokens_revoke(text: str) -> User:
    """Ends the sign-in that this refresh token is of: its access tokens are good no more. Raises `TokenError`."""
    token = read(RefreshToken, text)
    user = user_of(token)
    family_revoke(user.pk, token["family"])
    return user


def access_user(text: str) -> User:
    """Whose access token this is. Raises `TokenError`."""
    return user_of(read(AccessToken, text))


def read(kind: type[Token], text: str) -> Token:
    """The token, when signature, time and kind are right. Raises `TokenError`."""
    try:
        return kind(text)  # type: ignore[arg-type]  # simplejwt takes the text, and says otherwise
    except (ValueError, OverflowError):
        raise TokenError("Token is invalid") from None


def user_of(token: Token) -> User:
    """Its user as the database has them now. Raises `TokenError` when the sign-in counts no more."""
    family, subject = token.get("family"), str(token.get("sub"))
    user = User.objects.filter(pk=int(subject), is_active=True).first() if is_number(subject) else None
    # Whoever changes the password ends all sign-ins.
    if user is None or not constant_time_compare(str(token.get("stamp")), stamp_of(user)):
        raise TokenError("Token is revoked")
    if not OutstandingToken.objects.filter(user=user, token=family, blacklistedtoken=None).exists():
        raise TokenError("Token is revoked")
    return user


def family_revoke(user_id: int, family: str) -> None:
    live = OutstandingToken.objects.filter(user_id=user_id, token=family, blacklistedtoken=None)
    BlacklistedToken.objects.bulk_create([BlacklistedToken(token=each) for each in live], ignore_conflicts=True)
    forget()


def spend(token: Token) -> bool:
    """Whether this is its first use; of callers at once one is told so."""
    outstanding = OutstandingToken.objects.filter(jti=token["jti"]).first()
    return outstanding is not None and BlacklistedToken.objects.get_or_create(token=outstanding)[1]


def expired_remove() -> int:
    """Forget the tokens that nobody could use any more; how many these were."""
    return OutstandingToken.objects.filter(expires_at__lte=timezone.now()).delete()[0]


def with_claims(token: Any, claims: dict[str, str]) -> Any:
    for name, value in claims.items():
        token[name] = value
    return token


def role_names(role: Role) -> list[str]:
    """The role and those that it includes."""
    return [each.label for each in Role if Role.ANYBODY < each <= role]


def stamp_of(user: User) -> str:
    """Changes with the password."""
    return user.get_session_auth_hash()[:STAMP_CHARACTERS]


def is_number(subject: str) -> bool:
    return subject.isascii() and subject.isdigit() and len(subject) < 19
