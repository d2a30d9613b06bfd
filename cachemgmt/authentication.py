"""Who may manage the cache: staff who have signed in at /admin/, and programs that send the token of LIQUI_TOKEN."""

from typing import Any

from django.conf import settings
from django.utils.crypto import constant_time_compare
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class TokenHolder:
    """Whoever knows the token, which is all that is known of them."""

    is_staff = is_active = is_authenticated = True


class TokenAuthentication(BaseAuthentication):
    """``X-Liqui-Token``; without the setting no token is the right one."""

    def authenticate(self, request: Request) -> tuple[TokenHolder, str] | None:
        given = request.META.get("HTTP_X_LIQUI_TOKEN")
        if given is None:
            return None
        if not settings.LIQUI_TOKEN or not constant_time_compare(given, settings.LIQUI_TOKEN):
            raise PermissionDenied("Wrong token")
        return TokenHolder(), "token"

    def authenticate_header(self, request: Request) -> str:
        # Named here, so that a missing credential is 401 and not 403.
        return 'LiquiToken realm="cache management", header="X-Liqui-Token"'


class IsOperator(BasePermission):
    """Staff. (Who has not said who they are gets 401, anybody else 403.)"""

    def has_permission(self, request: Request, view: Any) -> bool:
        user: Any = request.user
        return bool(user and user.is_staff)
