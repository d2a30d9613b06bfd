"""Query parameters are read, and refused, as FastAPI does it."""

import pytest
from rest_framework import serializers

from api.errors import UnprocessableParameters
from api.parameters import ChoiceParameter, IntegerParameter, QueryParameters, StringParameter


class Parameters(QueryParameters):
    symbol = StringParameter()
    limit = IntegerParameter(required=False, min_value=1, max_value=1000)
    anchor = ChoiceParameter(choices=["start", "epoch"], default="start")


def refused(**raw: str) -> list[dict[str, object]]:
    with pytest.raises(UnprocessableParameters) as caught:
        Parameters.validated(raw)
    return caught.value.errors


@pytest.mark.parametrize(
    ("text", "number"),
    [("5", 5), (" 5 ", 5), ("+5", 5), ("1_000", 1000), ("5.0", 5), ("005", 5), ("1000", 1000)],
)
def test_integers_are_read_as_pydantic_reads_them(text: str, number: int) -> None:
    assert Parameters.validated({"symbol": "X", "limit": text})["limit"] == number


@pytest.mark.parametrize("text", ["abc", "", "5.5", "1__0", "_1", "1_", "0x10", "५", "1e3", "\0", "9" * 5000])
def test_what_is_no_integer_is_refused_in_pydantics_words(text: str) -> None:
    assert refused(symbol="X", limit=text) == [
        {
            "type": "int_parsing",
            "loc": ["query", "limit"],
            "msg": "Input should be a valid integer, unable to parse string as an integer",
            "input": text,
        }
    ]


def test_bounds_are_named_in_the_message_and_in_the_context() -> None:
    assert refused(symbol="X", limit="0") == [
        {
            "type": "greater_than",
            "loc": ["query", "limit"],
            "msg": "Input should be greater than 0",
            "input": "0",
            "ctx": {"gt": 0},
        }
    ]
    assert refused(symbol="X", limit="1001") == [
        {
            "type": "less_than_equal",
            "loc": ["query", "limit"],
            "msg": "Input should be less than or equal to 1000",
            "input": "1001",
            "ctx": {"le": 1000},
        }
    ]


def test_every_faulty_parameter_is_named_in_one_answer() -> None:
    assert [(item["loc"], item["type"]) for item in refused(limit="x", anchor="now")] == [
        (["query", "symbol"], "missing"),
        (["query", "limit"], "int_parsing"),
        (["query", "anchor"], "enum"),
    ]


def test_a_missing_parameter_has_null_as_its_input() -> None:
    assert refused()[0] == {"type": "missing", "loc": ["query", "symbol"], "msg": "Field required", "input": None}


def test_a_choice_lists_what_was_expected() -> None:
    (item,) = refused(symbol="X", anchor="now")
    assert item["msg"] == "Input should be 'start' or 'epoch'"
    assert item["ctx"] == {"expected": "'start' or 'epoch'"}


@pytest.mark.parametrize("text", ["", "  ", " BTC ", "a\0b", "币安人生USDT", "\r\n"])
def test_text_arrives_exactly_as_it_was_sent(text: str) -> None:
    assert Parameters.validated({"symbol": text})["symbol"] == text


def test_defaults_fill_in_and_other_absent_parameters_stay_absent() -> None:
    assert Parameters.validated({"symbol": "X"}) == {"symbol": "X", "anchor": "start"}


def test_parameters_that_nobody_declared_are_ignored() -> None:
    assert "other" not in Parameters.validated({"symbol": "X", "other": "1"})


def test_fields_are_ordinary_serializer_fields() -> None:
    # What the OpenAPI schema is made from.
    assert isinstance(IntegerParameter(), serializers.IntegerField)
    assert isinstance(StringParameter(), serializers.CharField)
