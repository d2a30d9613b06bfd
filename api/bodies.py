"""JSON bodies: declared as serializer fields, refused in FastAPI's words, as query parameters are (`api.parameters`).

What a client sent in a write-only field, a password or a token, is never sent back.
"""

from collections.abc import Mapping
from typing import Any, Self

from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from api.errors import UnprocessableParameters

NOT_JSON = {"type": "json_invalid", "loc": ["body"], "msg": "JSON decode error", "input": {}}
NOT_AN_OBJECT = {
    "type": "model_attributes_type",
    "loc": ["body"],
    "msg": "Input should be a valid dictionary or object to extract fields from",
    "input": None,
}
NOT_TEXT = ("not_text", "null")


class TextField(serializers.CharField):
    """Text and nothing else, exactly as it was sent."""

    default_error_messages = {"not_text": "Not a text"}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("not_text")
        return super().to_internal_value(data)


class JsonBody(serializers.Serializer[Any]):
    """Base of the bodies of one endpoint."""

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        """The validated fields by name. Raises `UnprocessableParameters` that names every faulty one."""
        try:
            sent = request.data
        except ParseError:
            raise UnprocessableParameters([NOT_JSON]) from None
        if not isinstance(sent, Mapping):
            raise UnprocessableParameters([NOT_AN_OBJECT])
        body: Self = cls(data=sent)
        if body.is_valid():
            return body.validated_data
        raise UnprocessableParameters(
            [
                error_item(body.fields[name], name, sent, detail)
                for name, details in body.errors.items()
                for detail in details
            ]
        )


def error_item(field: Any, name: str, sent: Mapping[str, Any], detail: Any) -> dict[str, Any]:
    """FastAPI's description of one faulty field. ``detail`` is Django REST framework's text, which has a code."""
    kind, message = describe(str(detail.code), str(detail))
    value = None if field.write_only or kind == "missing" else sent.get(name)
    return {"type": kind, "loc": ["body", name], "msg": message, "input": value}


def describe(code: str, text: str) -> tuple[str, str]:
    if code == "required":
        return "missing", "Field required"
    if code in NOT_TEXT:
        return "string_type", "Input should be a valid string"
    return "value_error", f"Value error, {text}"
