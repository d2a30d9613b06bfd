"""What terminals were told, against what the exchange says of itself."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from tests.e2e.live.exchange import ExchangeControl
from tests.e2e.market.faults import Stage
from tests.e2e.market.terminals import MINUTE_MS, BookWatcher, Figures, Levels, Terminal, figures_of
from tests.live import ROOT, wait_until

FRESH_S = 2.0  # a book that is shown is no older
AT_ONCE_S = 0.7  # and normally no older than this
PAGE = 1000
CANDLES = 400  # of a chart
REPAIR = "from marketdata.tasks import candle_tasks; candle_tasks.repair_candles()"


class Step(NamedTuple):
    """A book as of an update."""

    id: int
    time_ms: int
    levels: Levels


class ExchangeBooks:
    """One symbol's book at the exchange, step by step, as far as somebody has asked; the best ``limit`` levels."""

    def __init__(self, exchange: ExchangeControl, symbol: str, limit: int) -> None:
        self.exchange, self.symbol, self.limit = exchange, symbol, limit
        self.steps: dict[int, Step] = {}
        self.before: dict[int, int] = {}  # the id of the step before, by id

    def ask(self, id: int | None = None) -> Step | None:
        """The book now, or as of that update; None when that is too long ago."""
        answer = self.exchange.get(f"book?symbol={self.symbol}" + ("" if id is None else f"&id={id}"))
        if "bids" not in answer:
            return None
        bids, asks = (
            tuple((float(price), float(quantity)) for price, quantity in answer[side][: self.limit])
            for side in ("bids", "asks")
        )
        step = Step(answer["lastUpdateId"], answer["T"], (bids, asks))
        self.steps[step.id] = step
        return step

    def newest(self) -> Step:
        step = self.ask()
        assert step is not None
        return step

    def step_before(self, step: Step) -> Step | None:
        if step.id not in self.before:
            found = self.ask(step.id - 1)
            if found is None:
                return None
            self.before[step.id] = found.id
        return self.steps[self.before[step.id]]

    def find(self, levels: Levels, newest: Step, least_ms: int) -> Step | None:
        """The step up to ``newest``, and not before ``least_ms``, at which the book was this one."""
        step: Step | None = newest
        while step is not None and step.time_ms >= least_ms:
            if step.levels == levels:
                return step
            step = self.step_before(step)
        return None


@dataclass
class Moment:
    """The end of a fault: here (monotonic seconds), and at the exchange."""

    at_s: float
    exchange_ms: int
    book_ids: dict[str, int]


def moment(stage: Stage, symbols: Sequence[str]) -> Moment:
    exchange, at_s = stage.market.exchange, time.monotonic()
    now_ms = exchange.get("state")["now_ms"]
    return Moment(at_s, now_ms, {symbol: exchange.get(f"book?symbol={symbol}")["lastUpdateId"] for symbol in symbols})


@dataclass
class Healing:
    """Seconds after the end of a fault until the last client was shown the present again."""

    books: float
    trades: float
    candles: float


def healing(stage: Stage, terminals: Sequence[Terminal], since: Moment, within_s: float = 20.0) -> Healing:
    """Waits for it."""
    waiting: dict[int, BookWatcher] = {number: terminal.book for number, terminal in enumerate(terminals)}
    known = {name: ExchangeBooks(stage.market.exchange, name, terminals[0].book.limit) for name in since.book_ids}
    books_s = 0.0
    while waiting:
        assert time.monotonic() - since.at_s < within_s, (
            f"books stand still: {[each.path for each in waiting.values()]}"
        )
        for number, watcher in tuple(waiting.items()):
            if (at_s := right_since(stage, watcher, known[watcher.symbol], since)) is not None:
                books_s = max(books_s, at_s - since.at_s)
                del waiting[number]
    trades_s, candles_s = (
        max(wait_told(watcher, since, within_s) for watcher in watchers)
        for watchers in ([each.trades for each in terminals], [each.candles for each in terminals])
    )
    return Healing(books_s, trades_s, candles_s)


def right_since(stage: Stage, watcher: BookWatcher, books: ExchangeBooks, since: Moment) -> float | None:
    """When the newest frame came, if it is a book that the exchange had after the fault, and a moment ago."""
    shown = watcher.shown
    if shown is None or shown[0] < since.at_s:
        return None
    # Frames come ten times a second, so one that is not found soon is an old one, and the next may be right.
    step = step_shown(stage, books, shown[1], AT_ONCE_S)[0]
    return shown[0] if step is not None and step.id > since.book_ids[watcher.symbol] else None


def step_shown(
    stage: Stage, books: ExchangeBooks, levels: Levels, within_s: float = FRESH_S
) -> tuple[Step | None, Step]:
    """The exchange's book of a moment ago which is shown, and its present one."""
    newest = books.newest()
    return books.find(levels, newest, newest.time_ms - int(within_s * 1000 * stage.speed)), newest


def wait_told(watcher: Any, since: Moment, within_s: float) -> float:
    wait_until(lambda: watcher.told_since(since.exchange_ms) is not None, within_s, f"{watcher.path} goes on")
    return max(0.0, watcher.told_since(since.exchange_ms) - since.at_s)


def book_is_the_exchanges_own(stage: Stage, watcher: BookWatcher, books: ExchangeBooks) -> int:
    """Level by level; how old it is, ms of the exchange's time."""
    wait_until(lambda: watcher.newest is not None, 10, f"{watcher.path} is shown")
    assert watcher.shown is not None
    levels = watcher.shown[1]
    step, newest = step_shown(stage, books, levels)
    assert step is not None, f"{watcher.path}: {differences(books, levels, newest)}"
    return newest.time_ms - step.time_ms


def differences(books: ExchangeBooks, levels: Levels, newest: Step) -> str:
    """From the exchange's present book, and whether it is only old, for whoever looks for the reason."""
    counts = [len(set(mine) ^ set(theirs)) for mine, theirs in zip(levels, newest.levels, strict=True)]
    step = books.find(levels, newest, 0)
    age = f"{newest.time_ms - step.time_ms} ms old" if step else "never there"
    return f"{counts} levels differ from the present one; {age}"


def all_agree(stage: Stage, terminals: Sequence[Terminal]) -> set[str]:
    """Stop the exchange's time: the last trade is the candle's close, and the book lies around it, wherever what was
    sent of the book is the present one. Goes on then; the symbols of which that was so.
    """
    stage.market.exchange.tell("pause")
    try:
        # Until what is on its way has come.
        time.sleep(0.5)
        told = {each.symbol for each in terminals if is_told(stage, each)}
        for terminal in terminals:
            if terminal.symbol in told:
                wait_until(
                    lambda terminal=terminal: agrees(terminal), 5, f"{terminal.symbol}: {figures_shown(terminal)}"
                )
    finally:
        stage.market.exchange.tell("resume")
    return told


def is_told(stage: Stage, terminal: Terminal) -> bool:
    """Whether nothing has happened to the exchange's book since its last diff."""
    present = ExchangeBooks(stage.market.exchange, terminal.symbol, terminal.book.limit).newest()
    return terminal.book.shown is not None and terminal.book.shown[1] == present.levels


def agrees(terminal: Terminal) -> bool:
    price, close, bid, ask = figures_shown(terminal)
    return bid <= price <= ask and price == close


def figures_shown(terminal: Terminal) -> tuple[float, float, float, float]:
    """The last trade's price, the candle's close, the best bid and ask."""
    assert terminal.book.shown is not None
    bids, asks = terminal.book.shown[1]
    close = terminal.candles.chart[max(terminal.candles.chart)][3]
    return terminal.trades.trades[terminal.trades.last][0], close, bids[0][0], asks[0][0]


# At the end, while the exchange's time stands still


def settle(stage: Stage, terminals: Sequence[Terminal]) -> None:
    """Stop the exchange's time, and wait until everybody has been told of its last trades."""
    exchange = stage.market.exchange
    # Well within a minute: a collector's clock goes on, and would end it.
    wait_until(lambda: 3_000 < exchange.get("state")["now_ms"] % MINUTE_MS < 45_000, MINUTE_MS, "a minute has begun")
    exchange.tell("pause")
    lasts = {symbol: trades_of(stage, symbol, limit=1)[-1]["a"] for symbol in {each.symbol for each in terminals}}

    def all_know() -> bool:
        return all(each.trades.last == lasts[each.symbol] for each in terminals)

    wait_until(all_know, 10, f"trades up to {lasts}, not {[each.trades.last for each in terminals]}")
    # A candle comes a moment after its trade.
    time.sleep(1.0)


def nothing_was_wrong(terminals: Sequence[Terminal]) -> None:
    faults = {watcher.path: watcher.faults for each in terminals for watcher in each.watchers if watcher.faults}
    assert not faults, f"told what must not be told: {faults}"


def trades_are_the_exchanges_own(stage: Stage, terminal: Terminal) -> int:
    """Where only new ones were sent, none is missing from the first to the last; how many were shown."""
    watcher = terminal.trades
    expected: dict[int, tuple[float, float, str]] = {}
    next_id = min(watcher.trades)
    while next_id <= watcher.last:
        for trade in trades_of(stage, terminal.symbol, fromId=next_id, limit=PAGE):
            expected[trade["a"]] = float(trade["p"]), float(trade["q"]), "sell" if trade["m"] else "buy"
        next_id = max(expected) + 1
    wrong = {id: (trade, expected.get(id)) for id, trade in watcher.trades.items() if trade != expected.get(id)}
    assert not wrong, f"shown, and what the exchange says: {wrong}"
    if watcher.only_new and watcher.connections == 1:
        missing = expected.keys() - watcher.trades.keys()
        assert not missing, f"not shown: {sorted(missing)}"
    return len(watcher.trades)


def candles_are_the_exchanges_own(stage: Stage, terminals: Sequence[Terminal], *, on_charts: bool) -> None:
    """On the charts, where that can be, by REST, and in the table once it was repaired."""
    repair(stage)
    for symbol in sorted({each.symbol for each in terminals}):
        expected = klines_of(stage, symbol)
        for terminal in terminals:
            if terminal.symbol == symbol and on_charts:
                is_part(terminal.candles.chart, expected)
        answer = stage.market.get(f"/api/v1/candles/{symbol}", timeframe="1m", limit=CANDLES)
        is_part({candle["timestamp"]: figures_of(candle) for candle in answer.json()}, expected)
        stored = {open_ms: tuple(map(float, figures)) for open_ms, *figures in stage.stored(symbol)}
        running_ms = max(expected)
        assert running_ms not in stored
        is_part(stored, expected)
        assert max(stored) == running_ms - MINUTE_MS


def is_part(candles: dict[int, Any], expected: dict[int, Figures]) -> None:
    """Of what the exchange has, and without a hole."""
    assert len(candles) >= CANDLES - 1
    opens = sorted(candles)
    assert all(later - earlier == MINUTE_MS for earlier, later in pairwise(opens))
    wrong = {open_ms: (shown, expected[open_ms]) for open_ms, shown in candles.items() if shown != expected[open_ms]}
    assert not wrong, f"shown, and what the exchange says: {wrong}"


def repair(stage: Stage) -> None:
    """What Celery does every now and then."""
    program = stage.market.collector
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", REPAIR],
        cwd=ROOT, env=program.variables, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def trades_of(stage: Stage, symbol: str, **window: int) -> Any:
    return rest(stage, "aggTrades", symbol=symbol, **window)


def klines_of(stage: Stage, symbol: str) -> dict[int, Figures]:
    rows = rest(stage, "klines", symbol=symbol, interval="1m", limit=PAGE)
    return {row[0]: figures(row[1:6]) for row in rows}


def figures(texts: Sequence[str]) -> Figures:
    open, high, low, close, volume = map(float, texts)
    return open, high, low, close, volume


def rest(stage: Stage, name: str, **parameters: Any) -> Any:
    answer = stage.market.exchange.http.get(f"/fapi/v1/{name}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()
