"""Who is calling: what views, sockets, limits and the audit log need to know of a caller."""

from dataclasses import dataclass
from typing import Any, Literal

from accounts.roles import Role
from api.addresses import client_address, site_of

Kind = Literal["anonymous", "session", "jwt", "key", "token", "shell", "system"]


@dataclass(frozen=True, slots=True)
class Caller:
    """``name`` is for people and the audit log; ``bucket`` is what rate limits count by: key, user or address."""

    name: str
    role: Role
    kind: Kind
    bucket: str
    user_id: int | None = None
    address: str = ""

    # Django REST framework and the admin ask these of whatever is `request.user`.
    is_active = is_authenticated = True

    @property
    def is_anonymous(self) -> bool:
        return self.kind == "anonymous"


def caller_of(request: Any) -> Caller:
    """Who calls a view of Django REST framework's, even where nobody has to say so."""
    return request.user or anonymous(client_address(request.META))


def anonymous(address: str) -> Caller:
    return Caller("anonymous", Role.ANYBODY, "anonymous", f"address:{site_of(address)}", address=address)
