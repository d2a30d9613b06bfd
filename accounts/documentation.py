"""What the OpenAPI schema says of the sign-in endpoints: bodies, answers, every error, examples."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers

from accounts.serializers import LoginBody, RefreshBody, RegisterBody, SignedOutShape, TokensShape, UserShape
from api.shapes import Shape, error

CLOSED = "Registration is closed: an administrator makes the users"
TAKEN = "This user name is taken"
WRONG = "Wrong user name or password"
SIGNED_OUT = "Signed out"
NOT_SIGNED_IN = "Authentication credentials were not provided."

TOKENS = {
    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0eXBlIjoiYWNjZXNzIn0.c2lnbmF0dXJl",
    "refresh_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl",
    "token_type": "bearer",
    "expires_in": 3600,
}
USER = {"user_id": "7", "username": "ada", "email": "ada@example.org", "roles": ["user"], "is_active": True}
REGISTER = {"username": "ada", "email": "ada@example.org", "password": "nine long words"}
LOGIN = {"username": "ada", "password": "nine long words"}
REFRESH = {"refresh_token": TOKENS["refresh_token"]}
MISSING = {"detail": [{"type": "missing", "loc": ["body", "password"], "msg": "Field required", "input": None}]}
TOKEN_ERRORS = ("Token is invalid", "Token is expired", "Token has wrong type", "Token has been used")


class BodyErrorShape(Shape):
    type = serializers.CharField()
    loc = serializers.ListField(child=serializers.CharField())
    msg = serializers.CharField()
    input = serializers.JSONField(allow_null=True, help_text="What was sent; null for what is secret.")


class BodyErrorsShape(Shape):
    detail = BodyErrorShape(many=True)


UNREADABLE = OpenApiResponse(
    BodyErrorsShape,
    description="The body is no JSON, or a field of it is missing or wrong.",
    examples=[OpenApiExample("Missing field", value=MISSING, response_only=True)],
)
WRONG_TYPE = error("The body is not `application/json`.", 'Unsupported media type "text/plain" in request.')
TOO_MANY = error(
    "Too many attempts have failed; `Retry-After` says how long to wait.",
    "Too many attempts to sign in; try again in 30 s",
)


def answer(shape: type[Shape], description: str, example: dict[str, Any]) -> OpenApiResponse:
    examples = [OpenApiExample("Success", value=example, response_only=True)]
    return OpenApiResponse(shape, description=description, examples=examples)


def described(
    name: str,
    summary: str,
    description: str,
    body: Any,
    example: dict[str, Any],
    responses: dict[int, Any],
    *parameters: OpenApiParameter,
) -> Any:
    return extend_schema(
        operation_id=f"auth_{name}",
        summary=summary,
        description=description,
        request=body,
        examples=[OpenApiExample("Request", value=example, request_only=True)],
        responses=responses | {415: WRONG_TYPE, 422: UNREADABLE},
        parameters=list(parameters),
        tags=["auth"],
    )


register = described(
    "register",
    "Sign up",
    "Makes a user who may read. `REGISTRATION` of the server says whether anybody may.",
    RegisterBody,
    REGISTER,
    {
        201: answer(UserShape, "The user has been made.", USER),
        400: error("Somebody has the name already.", TAKEN),
        403: error("Only administrators make users here.", CLOSED),
    },
)
login = described(
    "login",
    "Sign in",
    "Trades name and password for tokens. After five failures attempts have to wait, longer each time.",
    LoginBody,
    LOGIN,
    {
        200: answer(TokensShape, "Signed in.", TOKENS),
        401: error("Wrong, whichever of the two it is.", WRONG),
        429: TOO_MANY,
    },
)
refresh = described(
    "refresh",
    "Go on being signed in",
    "Trades a refresh token, which is spent with that, for the next tokens. One that is used again ends the sign-in: "
    "somebody has stolen it.",
    RefreshBody,
    REFRESH,
    {
        200: answer(TokensShape, "The next tokens.", TOKENS),
        401: error("The refresh token is not good, or not any more.", *TOKEN_ERRORS),
    },
    OpenApiParameter(
        "refresh_token", str, deprecated=True, description="Instead of the body, where no proxy logs it by accident."
    ),
)
logout = described(
    "logout",
    "Sign out",
    "Ends the sign-in that the refresh token is of: none of its tokens is good any more.",
    RefreshBody,
    REFRESH,
    {
        200: answer(SignedOutShape, "Signed out.", {"message": SIGNED_OUT}),
        401: error("The refresh token is not good, or not any more.", *TOKEN_ERRORS),
    },
)
me = extend_schema(
    operation_id="auth_me",
    summary="Who am I",
    description="The user, or the key, whose credentials these are, and what they may do.",
    responses={
        200: answer(UserShape, "The caller.", USER),
        401: error("No credentials, or wrong ones.", NOT_SIGNED_IN, "Token is expired", "Unknown API key"),
    },
    tags=["auth"],
)
