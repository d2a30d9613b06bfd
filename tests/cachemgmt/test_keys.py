"""Two requests share a key exactly if they ask for the same; what is in a symbol is data, whatever it looks like."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl

from hypothesis import example, given
from hypothesis import strategies as st

from cachemgmt.keys import PART_CHARACTERS, QUERY_CHARACTERS, glob_escape, key_text
from cachemgmt.registry import Namespace
from cachemgmt.stores.memory import glob_regex
from cachemgmt.types import Key
from liquidations.caching import BUCKETS, ORDERS, SYMBOLS
from tests.factories import DAY, HOUR, MINUTE, T0

Request = tuple[Namespace, dict[str, str]]
Meaning = tuple[Any, ...]

ODD_SYMBOLS = ["*", "?", "[a]", "A:B", "A%3AB", "A\\", "~A", "%7EA", "É", "漢字", "ß", "X" * 81, "X" * 82, ""]
PART = re.compile(r"[A-Z0-9a-z_.%~-]*")


@st.composite
def symbols(draw: st.DrawFn) -> tuple[str, str]:
    """(what is meant, how it is written)"""
    spell = draw(st.sampled_from([str, str.lower, str.swapcase, str.title, lambda text: f" {text}\t"]))
    written = spell(draw(st.sampled_from(["BTCUSDT", "BTCUSD", "ETHUSDT", *ODD_SYMBOLS])))
    return written.strip().upper(), written


@st.composite
def instants(draw: st.DrawFn, offsets: tuple[int, ...]) -> tuple[int, str]:
    at_ms = T0 + draw(st.sampled_from(offsets))
    moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at_ms)
    zone = timezone(timedelta(minutes=draw(st.sampled_from([-570, 0, 120]))))
    written = [
        str(at_ms),
        f" +{at_ms}",
        moment.isoformat(),
        moment.isoformat().replace("+00:00", "Z"),
        moment.replace(tzinfo=None).isoformat(sep=" "),
        moment.astimezone(zone).isoformat(),
    ]
    return at_ms, draw(st.sampled_from(written))


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[int, int], dict[str, str]]:
    start_ms, start = draw(instants((0, 1, MINUTE, HOUR)))
    end_ms, end = draw(instants((HOUR, 2 * HOUR, DAY + 123)))
    return (start_ms, end_ms), {"start_timestamp": start, "end_timestamp": end}


@st.composite
def options(draw: st.DrawFn, **choices: tuple[str, ...]) -> tuple[Meaning, dict[str, str]]:
    """Words of which the first is the default, and may be left out."""
    chosen = {name: draw(st.sampled_from(words)) for name, words in choices.items()}
    written = {name: word for name, word in chosen.items() if word != choices[name][0] or draw(st.booleans())}
    return tuple(chosen.values()), written


@st.composite
def bucket_requests(draw: st.DrawFn) -> tuple[Meaning, Request]:
    symbol, written_symbol = draw(symbols())
    window, written_window = draw(windows())
    spellings = {1: ("1m", "01M"), 60: ("60m", "1h", "1H"), 1440: ("1d", "24h", "1440m")}
    minutes = draw(st.sampled_from(sorted(spellings)))
    (anchor, *rest), written = draw(
        options(anchor=("start", "epoch"), fill=("none", "zero"), numbers=("float", "string"))
    )
    is_aligned = window[0] % (minutes * MINUTE) == 0
    meaning = (symbol, window, minutes, "start" if is_aligned else anchor, *rest)
    timeframe = draw(st.sampled_from(spellings[minutes]))
    query = {"symbol": written_symbol, "timeframe": timeframe, **written_window, **written}
    return ("buckets", *meaning), (BUCKETS, query)


@st.composite
def latest_requests(draw: st.DrawFn) -> tuple[Meaning, Request]:
    symbol, written_symbol = draw(symbols())
    limit = draw(st.sampled_from([1, 50, 100]))
    numbers, written = draw(options(numbers=("float", "string")))
    _, ignored = draw(options(page=("1", "2"), page_size=("100", "7")))
    query = {
        "symbol": written_symbol,
        "limit": draw(st.sampled_from([str(limit), f"+{limit}.0"])),
        **written,
        **ignored,
    }
    return ("latest", symbol, limit, numbers), (ORDERS, query)


@st.composite
def page_requests(draw: st.DrawFn) -> tuple[Meaning, Request]:
    symbol, written_symbol = draw(symbols())
    window, written_window = draw(windows())
    meaning, written = draw(options(page=("1", "2", "50"), page_size=("100", "1", "50"), numbers=("float", "string")))
    return ("page", symbol, window, meaning), (ORDERS, {"symbol": written_symbol, **written_window, **written})


@st.composite
def symbol_list_requests(draw: st.DrawFn) -> tuple[Meaning, Request]:
    return ("symbols",), (SYMBOLS, draw(st.dictionaries(st.sampled_from(["symbol", "limit"]), st.text(max_size=3))))


REQUESTS = st.one_of(bucket_requests(), latest_requests(), page_requests(), symbol_list_requests())


def key_of(request: Request) -> Key:
    namespace, query = request
    return namespace.key(namespace.parameters.validated(query))


@given(st.lists(REQUESTS, min_size=2, max_size=60))
def test_requests_share_a_key_exactly_if_they_ask_for_the_same(requests: list[tuple[Meaning, Request]]) -> None:
    keys: dict[Meaning, str] = {}
    meanings: dict[str, Meaning] = {}
    for meaning, request in requests:
        text = key_of(request).text
        assert keys.setdefault(meaning, text) == text
        assert meanings.setdefault(text, meaning) == meaning


@given(REQUESTS)
def test_the_query_of_a_key_leads_to_the_key(asked: tuple[Meaning, Request]) -> None:
    key = key_of(asked[1])
    query = dict(parse_qsl(key.query, keep_blank_values=True, strict_parsing=bool(key.query), errors="surrogatepass"))
    if len(key.query) < QUERY_CHARACTERS:
        assert key_of((asked[1][0], query)) == key


@given(bucket_requests(), st.data())
def test_another_spelling_of_a_request_has_the_same_key(asked: tuple[Meaning, Request], data: st.DataObject) -> None:
    meaning, request = asked
    other_meaning, other = data.draw(bucket_requests())
    assert (key_of(request).text == key_of(other).text) == (meaning == other_meaning)
    namespace, query = request
    spelled: Mapping[str, str] = {**query, "symbol": f" {query['symbol']} ".swapcase()}
    same_symbol = spelled["symbol"].strip().upper() == query["symbol"].strip().upper()
    assert (key_of((namespace, dict(spelled))).text == key_of(request).text) == same_symbol


@given(st.text(max_size=200), REQUESTS)
def test_the_keys_of_a_symbol_begin_with_its_namespace_and_the_symbol(
    symbol: str, asked: tuple[Meaning, Request]
) -> None:
    namespace, query = asked[1]
    if namespace is SYMBOLS:
        assert key_of(asked[1]) == Key("symbols", "symbols:all", "symbols")
        return
    key = key_of((namespace, {**query, "symbol": symbol}))
    assert key.text.startswith(f"{key_text(namespace.name, symbol.strip().upper())}:")
    assert all(PART.fullmatch(part) for part in key.text.split(":")), key.text
    assert key.scope == key_text("symbol", symbol.strip().upper())


@given(st.lists(st.text(alphabet=st.characters(), max_size=100), max_size=4), st.data())
@example(["A:B"], None)
@example(["a" * 81], None)
@example(["\ud800"], None)
def test_parts_are_told_apart_and_patterns_cannot_widen_them(parts: list[str], data: st.DataObject | None) -> None:
    text = key_text(*parts)
    others = [["A", "B"], ["A%3AB"], [*parts, ""], [f"~{'0' * 64}"]]
    if data is not None:
        others.append(data.draw(st.lists(st.text(max_size=100), max_size=4)))
    for other in others:
        # One empty part and no part at all are the one pair that a text cannot tell apart.
        assert (key_text(*other) == text) == ((other or [""]) == (parts or [""]))
    assert not set("*?[]\\") & set(text)
    assert len(text) <= len(parts) * (PART_CHARACTERS + 1)
    assert glob_regex(text).fullmatch(text)


@given(st.text(alphabet="ab*?[]\\^-", max_size=8), st.text(alphabet="ab*?[]\\^-", max_size=8))
def test_an_escaped_text_matches_itself_alone(text: str, other: str) -> None:
    assert bool(glob_regex(glob_escape(text)).fullmatch(other)) == (text == other)
    assert glob_regex(glob_escape(text)).fullmatch(text)
