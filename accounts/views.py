"""Signing up, in and out, for programs and pages; answers have the platform's shape."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.exceptions import TokenError

from accounts import documentation
from accounts.callers import caller_of
from accounts.documentation import CLOSED, SIGNED_OUT, TAKEN, WRONG
from accounts.permissions import Public, SignedIn
from accounts.roles import role_of
from accounts.serializers import LoginBody, RefreshBody, RegisterBody
from accounts.services import NameTaken, sign_in, sign_on, sign_out, sign_up
from accounts.tokens import Issued, role_names
from api.errors import BadRequest


@method_decorator(never_cache, name="dispatch")
class AuthView(APIView):
    # Who signs in has no credentials yet, or old ones that are good no more.
    permission_classes = [Public]
    http_method_names = ["post"]


class RegisterView(AuthView):
    @documentation.register
    def post(self, request: Request) -> Response:
        if settings.REGISTRATION == "closed":
            raise PermissionDenied(CLOSED)
        asked = RegisterBody.read(request)
        try:
            user = sign_up(request._request, **asked)
        except NameTaken:
            raise BadRequest(TAKEN) from None
        return Response(user_shown(user), status=201)


class LoginView(AuthView):
    @documentation.login
    def post(self, request: Request) -> Response:
        issued = sign_in(request._request, **LoginBody.read(request))
        if issued is None:
            raise AuthenticationFailed(WRONG)
        return Response(tokens_shown(issued))


class RefreshView(AuthView):
    @documentation.refresh
    def post(self, request: Request) -> Response:
        refresh_token = request.query_params.get("refresh_token") or RefreshBody.read(request)["refresh_token"]
        try:
            return Response(tokens_shown(sign_on(request._request, refresh_token)))
        except TokenError as error:
            raise AuthenticationFailed(str(error)) from None


class LogoutView(AuthView):
    @documentation.logout
    def post(self, request: Request) -> Response:
        refresh_token = RefreshBody.read(request)["refresh_token"]
        try:
            sign_out(request._request, refresh_token)
        except TokenError as error:
            raise AuthenticationFailed(str(error)) from None
        return Response({"message": SIGNED_OUT})


class MeView(AuthView):
    permission_classes = [SignedIn]
    http_method_names = ["get"]

    @documentation.me
    def get(self, request: Request) -> Response:
        caller = caller_of(request)
        user = User.objects.filter(pk=caller.user_id).first() if caller.user_id else None
        shown = user_shown(user) if user else {"user_id": None, "email": "", "is_active": True}
        # A key may less than its owner.
        return Response(shown | {"username": caller.name, "roles": role_names(caller.role)})


def user_shown(user: User) -> dict[str, Any]:
    return {
        "user_id": str(user.pk),
        "username": user.get_username(),
        "email": user.email,
        "roles": role_names(role_of(user)),
        "is_active": user.is_active,
    }


def tokens_shown(issued: Issued) -> dict[str, Any]:
    return {
        "access_token": issued.access,
        "refresh_token": issued.refresh,
        "token_type": "bearer",
        "expires_in": issued.expires_in_s,
    }
