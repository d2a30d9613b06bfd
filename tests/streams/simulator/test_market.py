"""The market: what a seed makes is always the same, and looks like the exchange it stands for."""

from collections import defaultdict
from itertools import islice, pairwise, takewhile

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.simulator.contracts import MAX_SYMBOLS, contracts_list, digits, exchange_info
from streams.simulator.kinds import AggTrade, Event, ForceOrder
from streams.simulator.market import Market, MarketOptions

START_MS = 1_795_000_000_000
BUSY = MarketOptions(seed=1, trades_per_s=50, orders_per_s=20)


def market(options: MarketOptions = BUSY, symbols: int = 30, start_ms: int = START_MS) -> Market:
    return Market(options, contracts_list(symbols, start_ms), start_ms)


def events_of(seconds: float, options: MarketOptions = BUSY, symbols: int = 30) -> list[Event]:
    end_ms = START_MS + seconds * 1000
    return list(takewhile(lambda event: event.at_ms < end_ms, market(options, symbols).events()))


def wire(event: Event) -> bytes:
    return msgspec.json.encode(event.payload)


options = st.builds(
    MarketOptions,
    seed=st.integers(0, 2**32),
    trades_per_s=st.just(0.0) | st.floats(1, 100),
    orders_per_s=st.floats(2, 30),
)


@given(options, st.integers(1, 40), st.lists(st.integers(1, 40), max_size=5))
def test_the_same_seed_makes_the_same_market_in_whatever_pieces_it_is_taken(
    options: MarketOptions, symbols: int, pieces: list[int]
) -> None:
    whole = list(islice(market(options, symbols).events(), sum(pieces)))
    rest = market(options, symbols).events()
    taken = [event for piece in pieces for event in islice(rest, piece)]
    assert list(map(wire, taken)) == list(map(wire, whole))


@given(options)
def test_events_come_in_the_order_of_their_event_times(options: MarketOptions) -> None:
    times = [event.at_ms for event in islice(market(options).events(), 300)]
    assert times == sorted(times)
    assert times[0] >= START_MS


def test_another_seed_makes_another_market() -> None:
    first, second = (list(islice(market(MarketOptions(seed=seed)).events(), 50)) for seed in (1, 2))
    assert list(map(wire, first)) != list(map(wire, second))


@given(options)
def test_a_symbol_has_at_most_one_forced_order_a_second_and_e_is_up_to_1012_ms_after_t(options: MarketOptions) -> None:
    published: defaultdict[str, list[int]] = defaultdict(list)
    for event in islice(market(options, symbols=3).events(), 400):
        if event.order is not None:
            assert isinstance(event.payload, ForceOrder)
            assert 0 <= event.payload.E - event.order.T <= 1012
            published[event.order.s].append(event.payload.E)
    for times in published.values():
        assert all(later - earlier >= 1000 for earlier, later in pairwise(times))


@given(options)
def test_prices_and_quantities_are_whole_steps_and_above_zero(options: MarketOptions) -> None:
    contracts = {contract.symbol: contract for contract in contracts_list(MAX_SYMBOLS, START_MS)}
    for event in islice(market(options, MAX_SYMBOLS).events(), 300):
        numbers = event.order or event.payload
        assert isinstance(numbers, AggTrade) or event.order is not None
        contract = contracts[numbers.s]
        for text, step in ((numbers.p, contract.tick), (numbers.q, contract.lot)):
            assert digits(text) == digits(step)
            steps = float(text) / float(step)
            assert steps >= 0.99
            assert abs(steps - round(steps)) < 1e-3


def test_a_forced_order_is_no_better_than_its_limit() -> None:
    orders = [event.order for event in events_of(60) if event.order]
    assert {order.S for order in orders} == {"BUY", "SELL"}
    for order in orders:
        assert (float(order.ap) <= float(order.p)) == (order.S == "BUY")


def test_forced_orders_come_in_cascades() -> None:
    counts: defaultdict[int, int] = defaultdict(int)
    for event in events_of(1200, MarketOptions(seed=3, trades_per_s=0, orders_per_s=1), symbols=300):
        counts[event.at_ms // 5000] += 1
    periods = [counts[START_MS // 5000 + number] for number in range(240)]
    mean = sum(periods) / len(periods)
    variance = sum((each - mean) ** 2 for each in periods) / len(periods)
    # Of independent orders the two would be the same.
    assert variance > 2 * mean
    assert max(periods) > 4 * mean


def test_prices_of_different_symbols_move_together() -> None:
    prices: defaultdict[str, dict[int, float]] = defaultdict(dict)
    for event in events_of(900, MarketOptions(seed=5, trades_per_s=40, orders_per_s=0), symbols=2):
        assert isinstance(event.payload, AggTrade)
        prices[event.payload.s][event.at_ms // 10_000] = float(event.payload.p)
    bitcoin, ether = prices["BTCUSDT"], prices["ETHUSDT"]
    seconds = sorted(bitcoin.keys() & ether.keys())
    moves = [
        (bitcoin[later] / bitcoin[earlier] - 1, ether[later] / ether[earlier] - 1)
        for earlier, later in pairwise(seconds)
    ]
    squares = [sum(move[side] ** 2 for move in moves) for side in (0, 1)]
    assert sum(first * second for first, second in moves) / (squares[0] * squares[1]) ** 0.5 > 0.3


def test_every_kind_of_name_is_among_few_symbols() -> None:
    symbols = [contract.symbol for contract in contracts_list(30, START_MS)]
    assert {"BTCUSDT", "币安人生USDT", "1000SHIBUSDT", "BTCUSDC", "BTCUSDT_261225"} <= set(symbols)


def test_hundreds_of_contracts_have_different_names_and_steps_below_their_price() -> None:
    contracts = contracts_list(MAX_SYMBOLS, START_MS)
    assert len({contract.symbol for contract in contracts}) == MAX_SYMBOLS > 300
    assert all(contract.price / float(contract.tick) > 500 for contract in contracts)
    assert all(contract.price * float(contract.lot) < 100 for contract in contracts)


def test_exchange_info_says_what_a_client_needs_of_each_contract() -> None:
    info = exchange_info(contracts_list(30, START_MS), START_MS, weight_limit=2400)
    symbols = {each["symbol"]: each for each in info["symbols"]}
    dated = symbols["BTCUSDT_261225"]
    assert (dated["pair"], dated["contractType"]) == ("BTCUSDT", "CURRENT_QUARTER")
    assert dated["deliveryDate"] == 1_798_185_600_000
    shib = symbols["1000SHIBUSDT"]
    assert (shib["baseAsset"], shib["quoteAsset"], shib["status"]) == ("1000SHIB", "USDT", "TRADING")
    assert (symbols["BTCUSDC"]["baseAsset"], symbols["BTCUSDC"]["quoteAsset"]) == ("BTC", "USDC")
    filters = {each["filterType"]: each for each in shib["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.000001"
    assert filters["LOT_SIZE"]["stepSize"] == "1"
