"""JSON as the contract has it: compact, UTF-8, one content type."""

from decimal import Decimal

import msgspec
import pytest
from rest_framework.exceptions import ErrorDetail

from api.rendering import JSONRenderer


class Bucket(msgspec.Struct):
    timestamp: int
    side: str


@pytest.mark.parametrize(
    ("data", "body"),
    [
        ([{"a": 1, "b": None}], b'[{"a":1,"b":null}]'),
        (["币安人生USDT"], '["币安人生USDT"]'.encode()),
        ([Bucket(1, "buy")], b'[{"timestamp":1,"side":"buy"}]'),
        (Decimal("1.50"), b'"1.50"'),
        ({"detail": ErrorDetail("no", "code")}, b'{"detail":"no"}'),
        (b'{"made":"elsewhere"}', b'{"made":"elsewhere"}'),
        (None, b""),
    ],
)
def test_data_is_rendered_compactly_and_bytes_are_left_alone(data: object, body: bytes) -> None:
    assert JSONRenderer().render(data) == body
