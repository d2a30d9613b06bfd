"""How Django REST framework's views learn who is calling: ``request.user`` is a `Caller`, or None."""

from typing import Any

from django.db import Error as DatabaseError
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.audit import console_actor
from accounts.callers import Caller
from accounts.identify import BadCredentials, identify, identify_quickly
from accounts.permissions import role_needed
from accounts.roles import Role

CHALLENGE = 'Bearer realm="liqui", Api-Key realm="liqui", LiquiToken realm="liqui", header="X-Liqui-Token"'


class Credentials(BaseAuthentication):
    """Those in the headers; else the console's session, where the view needs somebody: the others look at none."""

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        view: Any = request.parser_context["view"]
        refuse_wrong_method(view, request)
        role = role_needed(view)
        if role is None:
            return None
        # Who acts is looked up now; who reads, not for every request.
        look = identify if role > Role.USER else identify_quickly
        try:
            caller = look(request.META)
        except BadCredentials as error:
            raise AuthenticationFailed(str(error)) from None
        except DatabaseError:
            # Nobody can be looked up; who may read anyway reads what is kept.
            if role > Role.ANYBODY:
                raise
            caller = None
        if caller is None and role > Role.ANYBODY:
            caller = session_caller(request)
        return (caller, None) if caller else None

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def refuse_wrong_method(view: Any, request: Request) -> None:
    """405 before 401: a wrong method is wrong whoever asks."""
    method = str(request.method).lower()
    if method not in view.http_method_names or not hasattr(view, method):
        view.http_method_not_allowed(request)


def session_caller(request: Request) -> Caller | None:
    """Who is signed in to the console. Raises 403 where a change lacks the CSRF token."""
    return console_actor(request._request) if SessionAuthentication().authenticate(request) else None


class CredentialsScheme(OpenApiAuthenticationExtension):
    """What the OpenAPI schema says of them: of the views that need them, and of no others."""

    target_class = "accounts.authentication.Credentials"
    name = ["bearer", "apiKey", "token"]

    def get_security_requirement(self, auto_schema: Any) -> Any:
        return [{name: []} for name in self.name] if role_needed(auto_schema.view) else None

    def get_security_definition(self, auto_schema: Any) -> Any:
        return [
            {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "From `/api/v1/auth/login`."},
            {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "Made by an administrator."},
            {"type": "apiKey", "in": "header", "name": "X-Liqui-Token", "description": "`LIQUI_TOKEN` of the server."},
        ]
