"""A year of forced orders as arrays: the same for the same seed. Pure numpy.

Two kinds of hours as on the venue: a background with the day's cycle, and cascades, in which many orders of one side
follow each other within minutes, across the market or led by one coin. Symbols are Zipf-distributed.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
END_MS = 1_793_491_200_000  # 2026-11-01T00:00:00+00:00
TOP_SYMBOL = "BTCUSDT"
TOP_SHARE = 0.12  # of chance; cascades led by one coin move it a little
CASCADE_SHARE = 0.55
CASCADES_A_DAY = 9
LEADERS = (  # the largest by volume, in this order, with a price of about now
    ("BTC", 95_000.0),
    ("ETH", 3_500.0),
    ("SOL", 180.0),
    ("XRP", 1.1),
    ("DOGE", 0.2),
    ("BNB", 650.0),
    ("1000PEPE", 0.02),
    ("ADA", 0.8),
    ("AVAX", 35.0),
    ("LINK", 17.0),
)
DELIVERY = {
    f"{base}USDT_{date}": price for base, price in LEADERS[:2] for date in ("260327", "260626", "260925", "261225")
}
USDC = {f"{base}USDC": price for base, price in LEADERS[:5]}

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Market:
    """The symbols, most liquidated first, with each one's share of the orders, price, tick and quantity step."""

    symbols: list[str]
    shares: Floats
    prices: Floats
    price_digits: Integers
    quantity_digits: Integers


@dataclass(frozen=True, slots=True)
class Orders:
    """Forced orders as columns, by time; ``symbol`` is an index into ``market.symbols``."""

    market: Market
    symbol: Integers
    is_sell: Flags
    quantity: Floats
    price: Floats
    average_price: Floats
    last_filled: Floats
    filled: Floats
    time_ms: Integers

    def __len__(self) -> int:
        return len(self.time_ms)


def orders_generate(rows: int, *, days: int = 365, symbols: int = 300, seed: int = 7, end_ms: int = END_MS) -> Orders:
    """``rows`` orders of the ``days`` before ``end_ms``, none of them the same order twice."""
    random = np.random.default_rng(seed)
    market = market_make(random, symbols)
    background = background_draw(random, market, rows - int(rows * CASCADE_SHARE), days)
    cascades = cascades_draw(random, market, int(rows * CASCADE_SHARE), days)
    time = np.concatenate([background[0], cascades[0]])
    symbol = np.concatenate([background[1], cascades[1]])
    is_sell = np.concatenate([background[2], cascades[2]])
    hourly = hourly_prices(random, market, days)
    orders = priced(random, market, time, symbol, is_sell, hourly)
    return replace(told_apart(orders), time_ms=orders.time_ms + (end_ms - days * DAY_MS))


def market_make(random: Generator, symbols: int) -> Market:
    names, prices = symbol_prices(random, symbols)
    magnitude = np.floor(np.log10(prices)).astype(np.int64)
    return Market(
        symbols=names,
        shares=zipf_shares(len(names), TOP_SHARE),
        prices=prices,
        price_digits=np.clip(4 - magnitude, 1, 7),
        quantity_digits=np.clip(magnitude, 0, 3),
    )


def symbol_prices(random: Generator, count: int) -> tuple[list[str], Floats]:
    """Perpetuals first, then those in USDC, and at the tail the dated ones, whose names end in digits."""
    known = {f"{base}USDT": price for base, price in LEADERS}
    others = max(count - len(known) - len(USDC) - len(DELIVERY), 0)
    coins = {f"{coin_name(number)}USDT": float(np.exp(random.normal(0, 2.2))) for number in range(others)}
    prices = dict(list((known | coins | USDC | DELIVERY).items())[:count])
    return list(prices), np.array(list(prices.values()))


def coin_name(number: int) -> str:
    """A made-up coin: "QAA", "QAB", …"""
    return "Q" + chr(ord("A") + number // 26) + chr(ord("A") + number % 26)


def zipf_shares(count: int, top_share: float) -> Floats:
    """Shares that fall as a power of the rank, the power such that the first one is ``top_share``."""
    ranks = np.arange(1, count + 1, dtype=np.float64)
    low, high = 0.0, 4.0
    for _ in range(60):
        power = (low + high) / 2
        weights = ranks**-power
        low, high = (power, high) if weights[0] / weights.sum() < top_share else (low, power)
    weights = ranks**-low
    return weights / weights.sum()


def background_draw(random: Generator, market: Market, rows: int, days: int) -> tuple[Integers, Integers, Flags]:
    """Times from 0, symbols and sides of the orders outside cascades."""
    hours = np.arange(days * 24)
    weights = (1 + 0.5 * np.sin((hours % 24 - 8) * np.pi / 12)) * random.lognormal(0, 0.5, len(hours))
    hour = random.choice(hours, rows, p=weights / weights.sum())
    time = hour * HOUR_MS + random.integers(0, HOUR_MS, rows)
    symbol = random.choice(len(market.symbols), rows, p=market.shares)
    return time, symbol, random.random(rows) < 0.53


def cascades_draw(random: Generator, market: Market, rows: int, days: int) -> tuple[Integers, Integers, Flags]:
    """The same of cascades: few of them hold most orders, every fourth is led by one coin, most have one side."""
    count = max(days * CASCADES_A_DAY, 1)
    sizes = np.minimum(random.pareto(1.1, count) + 1, 400)
    cascade = random.choice(count, rows, p=sizes / sizes.sum())
    decay_ms = random.lognormal(np.log(240_000), 0.8, count)
    began = random.integers(0, days * DAY_MS, count)
    after = random.exponential(1.0, rows) * decay_ms[cascade]
    symbol = random.choice(len(market.symbols), rows, p=market.shares)
    leader = random.choice(len(market.symbols), count, p=market.shares)
    is_led = (random.random(count) < 0.25)[cascade] & (random.random(rows) < 0.5)
    falls = (random.random(count) < 0.6)[cascade]
    is_sell = falls ^ (random.random(rows) < 0.08)
    time = (began[cascade] + after.astype(np.int64)) % (days * DAY_MS)
    return time, np.where(is_led, leader[cascade], symbol), is_sell


def hourly_prices(random: Generator, market: Market, days: int) -> Floats:
    """A random walk for each symbol: prices[symbol, hour]."""
    steps = random.normal(0, 0.008, (len(market.symbols), days * 24))
    return market.prices[:, None] * np.exp(np.clip(np.cumsum(steps, axis=1), -2.5, 2.5))


def priced(
    random: Generator, market: Market, time: Integers, symbol: Integers, is_sell: Flags, hourly: Floats
) -> Orders:
    """Orders by time, with prices on the tick and quantities on the step."""
    order = np.argsort(time, kind="stable")
    time, symbol, is_sell = time[order], symbol[order], is_sell[order]
    rows = len(time)
    tick, step = 10.0 ** -market.price_digits[symbol], 10.0 ** -market.quantity_digits[symbol]
    price = on_grid(hourly[symbol, time // HOUR_MS] * (1 + random.normal(0, 0.0012, rows)), tick)
    # A fill is better than the bankruptcy price for one side, worse for the other.
    slip = np.where(is_sell, 1, -1) * np.abs(random.normal(0, 0.0015, rows))
    notional = random.lognormal(np.log(350), 1.7, rows) * np.where(random.random(rows) < 0.01, 40, 1)
    quantity = on_grid(notional / price, step)
    filled = np.where(random.random(rows) < 0.012, on_grid(quantity * random.random(rows), step), quantity)
    last = np.where(random.random(rows) < 0.7, filled, on_grid(filled * random.random(rows), step))
    return Orders(market, symbol, is_sell, quantity, price, on_grid(price * (1 + slip), tick), last, filled, time)


def on_grid(values: Floats, step: Floats) -> Floats:
    """The nearest multiples of ``step``, at least one."""
    return np.maximum(np.round(values / step), 1) * step


def told_apart(orders: Orders) -> Orders:
    """No order is there twice: a venue sends each once, and the unique key that `--check` asks for wants it so."""
    step = 10.0 ** -orders.market.quantity_digits[orders.symbol]
    while len(repeats := repeated(orders)):
        quantity = orders.quantity.copy()
        quantity[repeats] = on_grid(quantity[repeats] + step[repeats], step[repeats])
        orders = replace(orders, quantity=quantity)
    return orders


def repeated(orders: Orders) -> Integers:
    """The rows that are the same order as another."""
    identity = (orders.price, orders.quantity, orders.is_sell, orders.time_ms, orders.symbol)
    order = np.lexsort(identity)
    same = np.logical_and.reduce([column[order[1:]] == column[order[:-1]] for column in identity])
    return order[1:][same]
