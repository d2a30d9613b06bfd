"""What every app's endpoints say of their answers in the OpenAPI schema."""

from typing import Any, NoReturn

from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers


class Shape(serializers.Serializer[Any]):
    """Describes an answer for the schema; answers are rendered without it, for speed."""

    def create(self, validated_data: Any) -> NoReturn:
        raise NotImplementedError("describes answers only")


class ErrorShape(Shape):
    detail = serializers.CharField()


def error(description: str, *details: str) -> OpenApiResponse:
    """An error answer, with the texts that its detail may have."""
    examples = [OpenApiExample(detail[:60], value={"detail": detail}, response_only=True) for detail in details]
    return OpenApiResponse(ErrorShape, description=description, examples=examples)
