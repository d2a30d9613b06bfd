"""Query parameters: declared as serializer fields, read as FastAPI reads them, refused in FastAPI's words.

Existing clients parse these bodies, so texts and keys are those of pydantic v2.
"""

import re
from typing import Any, Self

from rest_framework import serializers
from rest_framework.fields import empty
from rest_framework.request import Request

from api.errors import UnprocessableParameters

# What pydantic makes an integer of: blanks around, a sign, underscores between digits, a fraction of zeros.
INTEGER = re.compile(r"([+-]?[0-9]+(?:_[0-9]+)*)(?:\.0*)?")
# Python itself refuses to read more digits than these (CVE-2020-10735).
INTEGER_DIGITS = 4300


class StringParameter(serializers.CharField):
    """Any text, exactly as it was sent: nothing trimmed; blank is a value; NUL is the view's business."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, allow_blank=True, **kwargs)

    def run_validation(self, data: Any = empty) -> Any:
        # CharField's own validators refuse NUL and surrogates with a 400 of another shape.
        is_empty, value = self.validate_empty_values(data)
        return value if is_empty else str(value)


class IntegerParameter(serializers.IntegerField):
    """An integer within ``min_value`` and ``max_value``, written in any way that pydantic's lax mode reads."""

    def to_internal_value(self, data: Any) -> int:
        match = INTEGER.fullmatch(data.strip())
        if match is None or len(match[1]) > INTEGER_DIGITS:
            self.fail("invalid")
        return int(match[1])


class ChoiceParameter(serializers.ChoiceField):
    """One of a few words; case matters."""


class QueryParameters(serializers.Serializer[Any]):
    """Base of the parameters of one endpoint; where a name is sent twice, the last value counts."""

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        """The validated parameters by name. Raises `UnprocessableParameters` that names every faulty one."""
        return cls.validated(request.query_params.dict())

    @classmethod
    def validated(cls, raw: dict[str, str]) -> dict[str, Any]:
        parameters: Self = cls(data=raw)
        if parameters.is_valid():
            return parameters.validated_data
        raise UnprocessableParameters(
            [
                error_item(parameters.fields[name], name, raw.get(name), str(details[0].code))
                for name, details in parameters.errors.items()
            ]
        )


def error_item(field: Any, name: str, raw: str | None, code: str) -> dict[str, Any]:
    """FastAPI's description of one faulty parameter. ``code`` is Django REST framework's."""
    kind, message, context = describe(field, code)
    item = {"type": kind, "loc": ["query", name], "msg": message, "input": raw}
    return item | {"ctx": context} if context else item


def describe(field: Any, code: str) -> tuple[str, str, dict[str, Any]]:
    """pydantic's error type, message and context."""
    if code == "required":
        return "missing", "Field required", {}
    if code == "min_value":
        above = field.min_value - 1
        return "greater_than", f"Input should be greater than {above}", {"gt": above}
    if code == "max_value":
        limit = field.max_value
        return "less_than_equal", f"Input should be less than or equal to {limit}", {"le": limit}
    if code == "invalid_choice":
        expected = listed([repr(choice) for choice in field.choices])
        return "enum", f"Input should be {expected}", {"expected": expected}
    return "int_parsing", "Input should be a valid integer, unable to parse string as an integer", {}


def listed(words: list[str]) -> str:
    """'a', 'b' or 'c'."""
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]
