"""A market from a seed: correlated prices with bursts of volatility, trades, and forced orders in cascades. No clock.

Everything is drawn tick by tick from one generator of random numbers, so that the events depend on the seed, the
options and the start alone: not on who listens, nor on how fast they are taken.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import accumulate, count
from random import Random

from streams.simulator.contracts import Contract, digits
from streams.simulator.kinds import AGG_TRADE, AggTrade, Event, ForceOrderBody, force_order_event

TICK_MS = 100
TICK_S = TICK_MS / 1000
DAY_S = 86_400

MAX_STEP_MS = 60_000  # of a symbol's own walk
VOLATILITY = 1.1e-4  # of the common factor, per √second: about 60 % a year
OWN_VOLATILITY = 0.8e-4  # of each symbol beside it
BURSTS_PER_S = 1 / 120
BURST_SIZE = (3.0, 10.0)  # times the quiet volatility
BURST_DECAY_S = 15.0
DRIFT = 0.5  # how much of a burst's volatility has a direction

CHILDREN = 0.7  # forced orders that each one leads to, on average: below 1, or a cascade has no end
CASCADE_DECAY_S = 2.0
IMPACT = 4e-5  # share of the price by which one forced order moves the market
PRESSURE_DECAY_S = 5.0
PRESSURE_SCALE = 3e-4  # of a move that makes one side three times as likely as the other

WINDOW_MS = 1000  # a symbol has one forced order in it, the last
MAX_WINDOW_DELAY_MS = 12
MAX_TRADE_DELAY_MS = 8
MEDIAN_TRADE_USD, TRADE_SPREAD = 300.0, 1.5
MEDIAN_ORDER_USD, ORDER_SPREAD = 1500.0, 1.6


@dataclass(frozen=True, slots=True)
class MarketOptions:
    """Events a second are averages over all symbols, in quiet times; one of them at least is above 0."""

    seed: int = 7
    trades_per_s: float = 200.0
    orders_per_s: float = 1.0


class Mood:
    """What all prices have in common: a random walk, its volatility, and the pressure of what moved lately."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.level = 0.0  # logarithm, relative to the start
        self.volatility = 1.0  # times the quiet one
        self.direction = 0.0
        self.pressure = 0.0  # moves of the last seconds added up

    def step(self) -> None:
        """One tick later."""
        random = self.random
        self.volatility = 1 + (self.volatility - 1) * math.exp(-TICK_S / BURST_DECAY_S)
        if random.random() < BURSTS_PER_S * TICK_S:
            self.volatility += random.uniform(*BURST_SIZE)
            self.direction = random.choice((-1.0, 1.0))
        noise = random.gauss(0, math.sqrt(TICK_S))
        drift = DRIFT * self.direction * (self.volatility - 1) * TICK_S
        self.pressure *= math.exp(-TICK_S / PRESSURE_DECAY_S)
        # Pulled back within days, so that prices stay in their region however long the market runs.
        self.level *= 1 - TICK_S / DAY_S
        self.move(VOLATILITY * (self.volatility * noise + drift))

    def move(self, change: float) -> None:
        self.level += change
        self.pressure += change

    def sell_share(self) -> float:
        """How likely a forced order is to be a SELL: falling prices liquidate longs."""
        return 1 / (1 + math.exp(max(min(self.pressure / PRESSURE_SCALE, 50.0), -50.0)))


class ContractState:
    """Where the price of one contract is, and its next numbers."""

    def __init__(self, contract: Contract, random: Random) -> None:
        self.contract, self.symbol, self.pair = contract, contract.symbol, contract.pair
        self.trade_streams = AGG_TRADE.streams(contract.symbol)
        self.level = contract.price
        self.sensitivity = random.uniform(0.8, 1.6)  # how strongly it follows the mood
        self.own = 0.0  # logarithm of what it moved on its own
        self.moved_ms = 0
        self.tick, self.tick_digits = float(contract.tick), digits(contract.tick)
        self.lot, self.lot_digits = float(contract.lot), digits(contract.lot)
        self.aggregate_id = random.randrange(10**8, 10**9)
        self.trade_id = self.aggregate_id * 2
        self.sent_ms = 0  # event time of its last trade: they are sent in their order

    def price_at(self, moment_ms: int, mood: Mood) -> float:
        """The price. Its own walk is made when somebody looks: one step, as long as the time since the last look."""
        # Within a tick orders are made after trades, so a look may be a little earlier than the last one.
        elapsed_s = min(max(moment_ms - self.moved_ms, 0), MAX_STEP_MS) / 1000
        self.moved_ms = max(self.moved_ms, moment_ms)
        self.own = self.own * (1 - elapsed_s / DAY_S) + mood.random.gauss(0, OWN_VOLATILITY * math.sqrt(elapsed_s))
        return self.level * math.exp(self.sensitivity * mood.level + self.own)

    def price_text(self, price: float) -> str:
        """On a tick, one at least."""
        return f"{max(round(price / self.tick), 1) * self.tick:.{self.tick_digits}f}"

    def quantity_text(self, quantity: float) -> str:
        return f"{max(round(quantity / self.lot), 1) * self.lot:.{self.lot_digits}f}"


class Window:
    """One symbol's forced orders within `WINDOW_MS`: only the last of them is published, at the window's end."""

    __slots__ = ("end_ms", "order")

    def __init__(self, end_ms: int, order: ForceOrderBody) -> None:
        self.end_ms, self.order = end_ms, order


class Market:
    """An endless run of events. Two markets of the same options, contracts and start are the same."""

    def __init__(self, options: MarketOptions, contracts: Sequence[Contract], start_ms: int) -> None:
        self.options, self.start_ms = options, start_ms
        self.random = Random(options.seed)
        self.mood = Mood(self.random)
        self.contracts = [ContractState(contract, self.random) for contract in contracts]
        self.cumulative_weights = list(accumulate(contract.weight for contract in contracts))
        self.windows: dict[str, Window] = {}
        self.excitement = 0.0  # forced orders a second that earlier ones bring about
        self.serial = count()
        # What has happened, but is not published yet: event time, serial, and the event or window.
        self.pending: list[tuple[int, int, Event | Window]] = []

    def events(self) -> Iterator[Event]:
        """Every event, by event time; a tick is made when the first event after it is asked for."""
        tick_ms = self.start_ms
        while True:
            self.mood.step()
            self.make_trades(tick_ms)
            self.make_orders(tick_ms)
            tick_ms += TICK_MS
            while self.pending and self.pending[0][0] < tick_ms:
                event_ms, _, item = heappop(self.pending)
                yield force_order_event(event_ms, item.order) if isinstance(item, Window) else item

    def make_trades(self, tick_ms: int) -> None:
        for moment_ms in self.arrivals(tick_ms, self.options.trades_per_s * self.mood.volatility):
            event_ms = moment_ms + int(self.random.random() * (MAX_TRADE_DELAY_MS + 1))
            trade = self.trade(moment_ms, event_ms)
            heappush(self.pending, (trade.at_ms, next(self.serial), trade))

    def make_orders(self, tick_ms: int) -> None:
        self.excitement *= math.exp(-TICK_S / CASCADE_DECAY_S)
        # Without their children there are fewer, so that on average there are as many as asked for.
        rate = self.options.orders_per_s * (1 - CHILDREN) * self.mood.volatility + self.excitement
        for moment_ms in self.arrivals(tick_ms, rate):
            order = self.forced_order(moment_ms)
            self.excitement += CHILDREN / CASCADE_DECAY_S
            self.mood.move(IMPACT if order.S == "BUY" else -IMPACT)
            self.take_into_window(moment_ms, order)

    def arrivals(self, tick_ms: int, rate_per_s: float) -> Iterator[int]:
        """Moments of a Poisson process within the tick that begins at ``tick_ms``."""
        per_ms = rate_per_s / 1000
        if per_ms <= 0:
            return
        offset = self.random.expovariate(per_ms)
        while offset < TICK_MS:
            yield tick_ms + int(offset)
            offset += self.random.expovariate(per_ms)

    def take_into_window(self, moment_ms: int, order: ForceOrderBody) -> None:
        window = self.windows.get(order.s)
        if window is not None and moment_ms <= window.end_ms:
            window.order = order
            return
        end_ms = moment_ms + WINDOW_MS + self.random.randint(0, MAX_WINDOW_DELAY_MS)
        self.windows[order.s] = window = Window(end_ms, order)
        heappush(self.pending, (end_ms, next(self.serial), window))

    def any_contract(self) -> ContractState:
        return self.random.choices(self.contracts, cum_weights=self.cumulative_weights)[0]

    def trade(self, moment_ms: int, event_ms: int) -> Event:
        """A trade of ``moment_ms``, sent at ``event_ms`` or when the one before it is."""
        random, contract = self.random, self.any_contract()
        price = contract.price_at(moment_ms, self.mood)
        quantity = random.lognormvariate(math.log(MEDIAN_TRADE_USD), TRADE_SPREAD) / price
        contract.sent_ms = event_ms = max(contract.sent_ms, event_ms)
        first_id = contract.trade_id + 1
        contract.trade_id += random.choice((1, 1, 1, 2, 3, 5))
        contract.aggregate_id += 1
        trade = AggTrade(
            "aggTrade",
            event_ms,
            contract.symbol,
            contract.aggregate_id,
            contract.price_text(price),
            contract.quantity_text(quantity),
            first_id,
            contract.trade_id,
            moment_ms,
            random.random() < 0.5,
        )
        return Event(event_ms, contract.trade_streams, trade)

    def forced_order(self, moment_ms: int) -> ForceOrderBody:
        random, contract = self.random, self.any_contract()
        price = contract.price_at(moment_ms, self.mood)
        side = "SELL" if random.random() < self.mood.sell_share() else "BUY"
        # The limit is the bankruptcy price: a BUY may pay more than it does, a SELL may get less.
        limit = price * (1 + random.uniform(0.001, 0.012) * (1 if side == "BUY" else -1))
        quantity = random.lognormvariate(math.log(MEDIAN_ORDER_USD), ORDER_SPREAD) / price
        text = contract.quantity_text(quantity)
        last = text if random.random() < 0.5 else contract.quantity_text(quantity * random.random())
        return ForceOrderBody(
            contract.symbol,
            side,
            "LIMIT",
            "IOC",
            text,
            contract.price_text(limit),
            contract.price_text(price),
            "FILLED",
            last,
            text,
            moment_ms,
            contract.pair,
            1,
        )
