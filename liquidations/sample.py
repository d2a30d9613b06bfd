"""Made-up forced orders that look like Binance's, from a seed, for a first look and for demonstrations. No Django.

What happens in an hour depends on the seed and the hour alone, so that adding the latest hours later gives the same
rows as one run over all.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from random import Random

from liquidations.domain import DAY_MS, EPOCH, HOUR_MS, MINUTE_MS, floor_ms
from liquidations.types import ForcedOrder

MEDIAN_NOTIONAL_USD = 1_500.0
QUIET_ORDERS = (120, 220)  # an hour, over all symbols, outside of cascades
CASCADE_ORDERS = (30, 90)
CASCADES = (0, 0, 1, 1, 2)  # an hour; one of these
MAX_ORDERS = 400  # an hour


@dataclass(frozen=True, slots=True)
class Instrument:
    """A contract with its price level in USDT, price and quantity steps, and its share of the liquidations."""

    symbol: str
    price: float
    tick_size: Decimal
    lot_size: Decimal
    weight: float
    is_quarterly: bool = False


def instrument(symbol: str, price: float, tick: str, lot: str, weight: float, *, quarterly: bool = False) -> Instrument:
    return Instrument(symbol, price, Decimal(tick), Decimal(lot), weight, quarterly)


INSTRUMENTS = (
    instrument("BTCUSDT", 84_000, "0.10", "0.001", 16),
    instrument("ETHUSDT", 2_900, "0.01", "0.001", 14),
    instrument("SOLUSDT", 135, "0.0100", "0.01", 9),
    instrument("币安人生USDT", 0.11, "0.0000100", "1", 3),
    instrument("BTCUSDT", 84_600, "0.1", "0.001", 1, quarterly=True),
    instrument("XRPUSDT", 2.1, "0.0001", "0.1", 7),
    instrument("DOGEUSDT", 0.15, "0.000010", "1", 6),
    instrument("BNBUSDT", 870, "0.010", "0.01", 4),
    instrument("1000PEPEUSDT", 0.0046, "0.0000001", "1", 6),
    instrument("BTCUSDC", 84_000, "0.1", "0.001", 2),
    instrument("ADAUSDT", 0.43, "0.00010", "1", 4),
    instrument("SUIUSDT", 1.5, "0.000100", "0.1", 5),
    instrument("LINKUSDT", 13, "0.001", "0.01", 3),
    instrument("AVAXUSDT", 13.5, "0.0010", "1", 3),
    instrument("LTCUSDT", 85, "0.01", "0.001", 2),
    instrument("WIFUSDT", 0.35, "0.0001", "0.1", 4),
    instrument("NEARUSDT", 1.9, "0.0010", "1", 3),
    instrument("ENAUSDT", 0.24, "0.000100", "1", 4),
    instrument("FARTCOINUSDT", 0.3, "0.0001", "0.1", 4),
    instrument("HYPEUSDT", 32, "0.00100", "0.01", 4),
)


@dataclass(frozen=True, slots=True)
class Cascade:
    """A run of forced orders on one side, each pushing the price further; moments are ms."""

    side: str
    start_ms: int
    length_ms: int
    depth: float  # share of the price that it moves

    def pressure(self, moment_ms: int) -> float:
        """How much of the move has happened: 0 before, 1 at the end; gone again within as long as it took."""
        progress = (moment_ms - self.start_ms) / self.length_ms
        return min(progress, max(2 - progress, 0.0)) if progress > 0 else 0.0

    def shift(self, moment_ms: int) -> float:
        return self.depth * self.pressure(moment_ms) * (-1 if self.side == "SELL" else 1)


def sample_orders(start_ms: int, end_ms: int, seed: int = 7, symbols: int = len(INSTRUMENTS)) -> Iterator[ForcedOrder]:
    """Orders with start_ms ≤ trade time < end_ms, oldest first, of the first ``symbols`` instruments."""
    for hour_ms in range(floor_ms(start_ms, HOUR_MS), end_ms, HOUR_MS):
        for order in hour_orders(hour_ms, seed, symbols):
            if start_ms <= order.order_trade_time < end_ms:
                yield order


def hour_orders(hour_ms: int, seed: int, symbols: int) -> list[ForcedOrder]:
    """Every order of the hour that begins at ``hour_ms``, sorted by trade time."""
    random = Random(f"{seed}/{hour_ms}")
    instruments = INSTRUMENTS[:symbols]
    weights = [each.weight for each in instruments]
    cascades = [make_cascade(random, hour_ms) for _ in range(random.choice(CASCADES))]
    moments = [(random.randrange(HOUR_MS) + hour_ms, random.choice(("BUY", "SELL"))) for _ in range(quiet(random))]
    for cascade in cascades:
        moments += [cascade_moment(random, cascade) for _ in range(random.randint(*CASCADE_ORDERS))]
    orders: dict[tuple[str, int], ForcedOrder] = {}
    for moment_ms, side in moments[:MAX_ORDERS]:
        chosen = random.choices(instruments, weights)[0]
        order = make_order(random, chosen, side, moment_ms, market_price(chosen, seed, moment_ms, cascades))
        # The venue's stream has at most one order per symbol and second.
        orders.setdefault((order.symbol, moment_ms // 1000), order)
    return sorted(orders.values(), key=lambda order: (order.order_trade_time, order.symbol))


def quiet(random: Random) -> int:
    return random.randint(*QUIET_ORDERS)


def make_cascade(random: Random, hour_ms: int) -> Cascade:
    length_ms = random.randint(2, 8) * MINUTE_MS
    start_ms = hour_ms + random.randrange(HOUR_MS - length_ms)
    return Cascade(random.choice(("BUY", "SELL")), start_ms, length_ms, random.uniform(0.004, 0.02))


def cascade_moment(random: Random, cascade: Cascade) -> tuple[int, str]:
    # Most at its beginning.
    return cascade.start_ms + int(cascade.length_ms * random.betavariate(1.2, 2.5)), cascade.side


def market_price(instrument: Instrument, seed: int, moment_ms: int, cascades: list[Cascade]) -> float:
    """Slow waves around the instrument's level: a price at any moment without a past."""
    days = moment_ms / DAY_MS
    waves = sum(
        size * math.sin(2 * math.pi * days / period + phase) for size, period, phase in waves_of(instrument, seed)
    )
    return instrument.price * math.exp(waves + sum(cascade.shift(moment_ms) for cascade in cascades))


@lru_cache(maxsize=256)
def waves_of(instrument: Instrument, seed: int) -> tuple[tuple[float, float, float], ...]:
    """(size, period in days, phase) of each wave of the instrument's price."""
    random = Random(f"{seed}/{instrument.symbol}")
    return tuple(
        (size, period, random.uniform(0, 2 * math.pi)) for size, period in ((0.08, 19), (0.03, 2.7), (0.008, 0.21))
    )


def make_order(random: Random, instrument: Instrument, side: str, moment_ms: int, market: float) -> ForcedOrder:
    average_price = on_step(market * (1 + random.gauss(0, 0.0004)), instrument.tick_size)
    # The limit is the bankruptcy price: a BUY may pay more than it does, a SELL may get less.
    margin = random.uniform(0.001, 0.012) * (1 if side == "BUY" else -1)
    price = on_step(float(average_price) * (1 + margin), instrument.tick_size)
    quantity = on_step(random.lognormvariate(math.log(MEDIAN_NOTIONAL_USD), 1.6) / market, instrument.lot_size)
    last_filled = quantity if random.random() < 0.5 else on_step(float(quantity) * random.random(), instrument.lot_size)
    return ForcedOrder(
        symbol=symbol_at(instrument, moment_ms),
        side=side,
        order_type="LIMIT",
        time_in_force="IOC",
        original_quantity=quantity,
        price=price,
        average_price=average_price,
        order_status="FILLED",
        order_last_filled_quantity=last_filled,
        order_filled_accumulated_quantity=quantity,
        order_trade_time=moment_ms,
    )


def on_step(value: float, step: Decimal) -> Decimal:
    """The multiple of ``step`` nearest to ``value``, one step at least."""
    return max(round(value / float(step)), 1) * step


def symbol_at(instrument: Instrument, moment_ms: int) -> str:
    return delivery_symbol(instrument.symbol, moment_ms) if instrument.is_quarterly else instrument.symbol


def delivery_symbol(pair: str, moment_ms: int) -> str:
    """The quarterly contract of a pair at a moment, named after its next delivery: BTCUSDT_261225."""
    moment = EPOCH + timedelta(milliseconds=moment_ms)
    delivery = next(delivery for months in (0, 3) if (delivery := quarter_delivery(moment, months)) >= moment)
    return f"{pair}_{delivery:%y%m%d}"


def quarter_delivery(moment: datetime, months_later: int) -> datetime:
    """08:00 UTC on the last Friday of the moment's quarter, or of one ``months_later``."""
    months = moment.year * 12 + (moment.month - 1) // 3 * 3 + 3 + months_later  # the month after the quarter
    last_day = datetime(months // 12, months % 12 + 1, 1, 8, tzinfo=UTC) - timedelta(days=1)
    return last_day - timedelta(days=(last_day.weekday() - 4) % 7)
