"""The bodies of the sign-in endpoints, and what their answers look like."""

from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from rest_framework import serializers

from api.bodies import JsonBody, TextField
from api.shapes import Shape

NAME_CHARACTERS, EMAIL_CHARACTERS, PASSWORD_CHARACTERS, TOKEN_CHARACTERS = 150, 254, 1024, 4096


class LoginBody(JsonBody):
    username = TextField(max_length=NAME_CHARACTERS)
    password = TextField(max_length=PASSWORD_CHARACTERS, write_only=True)


class RegisterBody(JsonBody):
    username = TextField(
        max_length=NAME_CHARACTERS,
        validators=[UnicodeUsernameValidator()],
        help_text="Letters, digits and `@.+-_`. Case makes no difference.",
    )
    email = TextField(max_length=EMAIL_CHARACTERS, validators=[validate_email])
    password = TextField(
        max_length=PASSWORD_CHARACTERS,
        write_only=True,
        help_text="8 characters at least, none of the common ones, and not like the name or the e-mail address.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs["username"] = User.normalize_username(attrs["username"])
        try:
            validate_password(attrs["password"], User(username=attrs["username"], email=attrs["email"]))
        except ValidationError as error:
            raise serializers.ValidationError({"password": error.messages}) from None
        return attrs


class RefreshBody(JsonBody):
    refresh_token = TextField(max_length=TOKEN_CHARACTERS, write_only=True)


class TokensShape(Shape):
    access_token = serializers.CharField(help_text="For `Authorization: Bearer`, and for `?token=` of sockets.")
    refresh_token = serializers.CharField(help_text="Good for one use, within 7 days.")
    token_type = serializers.ChoiceField(choices=["bearer"])
    expires_in = serializers.IntegerField(help_text="Seconds for which the access token is good.")


class UserShape(Shape):
    user_id = serializers.CharField(allow_null=True, help_text="null: a key without an owner.")
    username = serializers.CharField()
    email = serializers.CharField(allow_blank=True)
    roles = serializers.ListField(child=serializers.CharField(), help_text="The role and those that it includes.")
    is_active = serializers.BooleanField()


class SignedOutShape(Shape):
    message = serializers.CharField()
