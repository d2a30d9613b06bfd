"""`make bench BENCH=terminal` (`ARGS="--quick"`, `ARGS="--markdown"`): what two hundred trading terminals cost.

Each terminal has four sockets, as the shipped client opens them: order book (20 levels, one of the first three
roundings), trades, 1m candles, liquidations with their volume. The exchange simulator plays its market in real time;
our service is one web process and a collector over MariaDB and Redis. Then as many sockets read the streams behind that
directly from the exchange: nobody can be faster. All of it, and the one process with all clients, runs on this machine.
"""

import argparse
import json
import math
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import median
from textwrap import wrap
from urllib.parse import quote

import msgspec

from benchmarks import machine
from benchmarks.database import private_server, version
from benchmarks.live import (
    Clients,
    answer,
    control,
    exchange_started,
    resident_bytes,
    service_started,
    wait_until,
)
from benchmarks.main import run
from benchmarks.report import NONE, aligned, markdown, number
from benchmarks.run import stage
from benchmarks.server import BenchmarkFailed
from benchmarks.simulator import cpu_seconds
from benchmarks.terminal_notes import (
    Exchange,
    Figures,
    Notes,
    SocketNotes,
    Window,
    faults,
    figures,
    frames_seen,
    messages_raw,
)
from marketdata.symbols.documentation import FALLBACK_HEADER
from marketdata.types import DepthSnapshot
from tools.servers import PrivateMariaDB, PrivateRedis

MARKET = ("--seed", "7", "--symbols", "40", "--trades", "200", "--orders", "10")
ROUNDINGS = 3  # of a symbol's, that are shown
SETTLE_S = 8.0  # after the last socket was opened: books are live, minutes have begun
LATE_S = 5.0  # for what is late at the end; then it is missing
CLOCK_LOOKS = 50
KINDS = ("orderbook", "trades", "candles", "liquidations")
# What is sent, by which socket, and the exchange's own message behind it.
SENT = {
    "orderbook_update": ("orderbook", "depthUpdate"),
    "trades_update": ("trades", "aggTrade"),
    "candle_update": ("candles", "kline"),
    "liquidation_order": ("liquidations", "forceOrder"),
    "liquidation_volume": ("liquidations", ""),
}
STREAMS = (("public", "depth@100ms"), ("market", "aggTrade"), ("market", "kline_1m"), ("market", "forceOrder"))
HEAD = (
    *("message", "frames/s", "KiB each", "p50", "p99", "wrong or missing"),
    *("direct: message", "frames/s", "p50", "p99"),
)
PROCESSES_HEAD = ("process", "CPU of one core", "memory", "direct: CPU", "memory")
WIDTH = 118
EXPLAINED = """
p50, p99: from the exchange's event to the client having read the frame that shows it: the depth update behind a book,
which is found by its levels; the newest trade of a list; the last trade in a candle, found by its volume; the sending
of a forced order. The pauses between two frames of a kind are part of it. Wrong or missing: books that the exchange's
never was, and what a socket was never shown: the last book, trades, last states of a minute, forced orders (one that
comes again counts, too). Direct: the streams behind that, unchanged, read by as many sockets. The clients' memory is
what they noted.
"""


@dataclass(frozen=True, slots=True)
class Options:
    terminals: int
    symbols: int
    seconds: float
    markdown: bool


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one process while it was measured: its share of one core, and its memory at the end."""

    cpu: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A symbol, and the roundings of its book."""

    symbol: str
    roundings: Sequence[Decimal]


@dataclass(frozen=True, slots=True)
class Opened:
    """A socket of a terminal."""

    kind: str
    symbol: str
    address: str


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of all clients: what they noted, and what the exchange says of it. ``closed`` sockets did not stay."""

    notes: Notes
    exchange: Exchange
    window: Window
    usage: Mapping[str, Usage]
    closed: int


@dataclass(frozen=True, slots=True)
class Measured:
    """``figures`` by type of message; ``faults`` by kind of socket; ``first_s`` by it, until sockets had a frame."""

    ran: Ran
    figures: Mapping[str, Figures]
    faults: Mapping[str, int]
    first_s: Mapping[str, Sequence[float]]
    errors: Sequence[str]  # that sockets were told
    bytes_per_socket: float

    @property
    def seconds(self) -> float:
        return (self.ran.window.end_ms - self.ran.window.start_ms) / 1000


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    began, load = time.monotonic(), machine.load()
    with tempfile.TemporaryDirectory(prefix="liqui-terminal-") as folder:
        with private_server() as database, PrivateRedis() as redis:
            about = machine.description(version(database))
            with stage(f"{options.terminals} terminals"):
                shown, ours = measure_ours(options, database, redis, Path(folder) / "ours")
        with stage("as many sockets at the exchange itself"):
            direct = measure_direct(options, shown, Path(folder) / "direct")
    minutes = (time.monotonic() - began) / 60
    print(f"{options.terminals} terminals of 4 sockets, {options.symbols} symbols, {options.seconds:.0f} s. {about}.")
    print(f"The run took {minutes:.0f} minutes; before it began, {load:.1f} other programs wanted to run.\n")
    table = markdown if options.markdown else aligned
    print("\n".join(table([HEAD, *rows(ours, direct)])))
    print()
    print("\n".join(table([PROCESSES_HEAD, *process_rows(ours, direct)])))
    print()
    print("\n".join(remarks(ours)))
    print()
    print("\n".join(verdicts(options.terminals * len(KINDS), ours)))
    return 0


def parse(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.terminal", description=__doc__)
    parser.add_argument("--terminals", type=int, help="how many (default 200; --quick: 50)")
    parser.add_argument("--symbols", type=int, default=10, help="that they show, the most traded ones (default 10)")
    parser.add_argument("--seconds", type=float, help="that are measured, twice (default 60; --quick: 10)")
    parser.add_argument("--quick", action="store_true", help="a short try; its numbers mean little")
    parser.add_argument("--markdown", action="store_true", help="print it ready for docs/performance.md")
    parsed = parser.parse_args(arguments)
    terminals = parsed.terminals or (50 if parsed.quick else 200)
    return Options(terminals, parsed.symbols, parsed.seconds or (10 if parsed.quick else 60), parsed.markdown)


# Who opens what


def symbols_shown(port: int, count: int) -> list[Shown]:
    found = answer(port, "/api/v1/symbols")[:count]
    if len(found) < count:
        raise BenchmarkFailed(f"there are {len(found)} symbols, and not {count}")
    return [
        Shown(each["id"], [Decimal(repr(rounding)) for rounding in each["roundingOptions"][:ROUNDINGS]])
        for each in found
    ]


def terminals_opened(address: str, shown: Sequence[Shown], count: int) -> list[Opened]:
    """The sockets of each terminal in turn."""
    return [
        opened
        for place in range(count)
        for opened in terminal_opened(address, shown[place % len(shown)], place // len(shown))
    ]


def terminal_opened(address: str, shown: Shown, place: int) -> list[Opened]:
    symbol, rounding = quote(shown.symbol), shown.roundings[place % len(shown.roundings)]
    paths = {
        "orderbook": f"orderbook/{symbol}?limit=20&rounding={rounding:f}",
        "trades": f"trades/{symbol}",
        "candles": f"candles/{symbol}/1m?limit=800",
        "liquidations": f"liquidations/{symbol}?timeframe=1m",
    }
    return [Opened(kind, shown.symbol, f"{address}/{paths[kind]}") for kind in KINDS]


def streams_opened(exchange: int, shown: Sequence[Shown], count: int) -> list[str]:
    """The exchange's streams of as many terminals."""
    return [
        f"ws://127.0.0.1:{exchange}/{route}/ws/{quote(shown[place % len(shown)].symbol.lower())}@{stream}"
        for place in range(count)
        for route, stream in STREAMS
    ]


# What is measured


def measure_ours(
    options: Options, database: PrivateMariaDB, redis: PrivateRedis, folder: Path
) -> tuple[list[Shown], Measured]:
    folder.mkdir()
    with (
        exchange_started(MARKET, folder) as (exchange, simulator),
        service_started(database, redis, "terminal", exchange, folder) as service,
    ):
        wait_until(lambda: is_listed(service.port), folder)
        shown = symbols_shown(service.port, options.symbols)
        opened = terminals_opened(service.address, shown, options.terminals)
        # One more client reads what the exchange says.
        addresses = [each.address for each in opened] + streams_opened(exchange, shown, len(shown))
        processes = {
            "web process": service.web.pid,
            "collector": service.collector.pid,
            "Redis": redis.pid,
            "MariaDB": database.pid,
            "exchange simulator": simulator.pid,
        }
        before_bytes = resident_bytes(service.web.pid)
        ran = clients_run(addresses, exchange, shown, processes, options.seconds, folder)
    truths = ran.exchange.truths({each.symbol: each.roundings for each in shown})
    seen = frames_seen(ran.notes.frames, ran.exchange, truths)
    sockets = ran.notes.sockets[: len(opened)]
    named = [((each.kind, each.symbol), socket) for each, socket in zip(opened, sockets, strict=True)]
    return shown, Measured(
        ran,
        figures(ran.notes, seen, sockets, ran.window),
        faults(seen, named, truths, ran.window),
        first_s={kind: [time_to_first(socket) for (each, _), socket in named if each == kind] for kind in KINDS},
        errors=sorted({each.kind for each in seen if each.kind.startswith("error: ")}),
        bytes_per_socket=(ran.usage["web process"].bytes - before_bytes) / len(sockets),
    )


def measure_direct(options: Options, shown: Sequence[Shown], folder: Path) -> Measured:
    folder.mkdir()
    with exchange_started(MARKET, folder) as (exchange, simulator):
        addresses = streams_opened(exchange, shown, options.terminals)
        ran = clients_run(addresses, exchange, [], {"exchange simulator": simulator.pid}, options.seconds, folder)
    seen = frames_seen(ran.notes.frames, ran.exchange, {})
    return Measured(ran, figures(ran.notes, seen, ran.notes.sockets, ran.window), {}, {}, [], 0)


def clients_run(
    addresses: Sequence[str],
    exchange: int,
    shown: Sequence[Shown],
    processes: Mapping[str, int],
    seconds: float,
    folder: Path,
) -> Ran:
    """The books of ``shown`` are asked for, once all clients are there."""
    (folder / "addresses").write_text("\n".join(addresses))
    with Clients("benchmarks.terminal_client", [str(folder / "addresses")], folder / "notes") as clients:
        snapshots = {each.symbol: snapshot(exchange, each.symbol) for each in shown}
        offset_ms = clock_offset_ms(exchange)
        time.sleep(SETTLE_S)
        start_ms = time.time() * 1000
        with watched({**processes, "clients": clients.process.pid}) as usage:
            time.sleep(seconds)
        end_ms = time.time() * 1000
        time.sleep(LATE_S)
        orders = control(exchange, "sent")["orders"]
        still_there = clients.finish()
    notes = msgspec.msgpack.decode((folder / "notes").read_bytes(), type=Notes)
    sent_ms = {(order["symbol"], order["T"]): order["sent_ms"] for order in orders}
    told = Exchange(messages_raw(notes.frames), snapshots, sent_ms, offset_ms)
    return Ran(notes, told, Window(start_ms, end_ms), usage, len(addresses) - still_there)


def is_listed(port: int) -> bool:
    """Whether the symbols are the exchange's own by now."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/symbols", timeout=60) as response:
        return FALLBACK_HEADER not in response.headers and len(json.load(response)) > 0


def snapshot(exchange: int, symbol: str) -> DepthSnapshot:
    book = control(exchange, f"book?symbol={quote(symbol)}")
    bids, asks = ([(Decimal(price), Decimal(size)) for price, size in book[side]] for side in ("bids", "asks"))
    return DepthSnapshot(
        venue="binance", symbol=symbol, last_update_id=book["lastUpdateId"], bids=bids, asks=asks, event_ms=book["T"]
    )


def clock_offset_ms(exchange: int) -> float:
    """How much our clock is before the exchange's, which stood still while its market was made."""
    looks = [clock_look(exchange) for _ in range(CLOCK_LOOKS)]
    return min(looks)[1]


def clock_look(exchange: int) -> tuple[float, float]:
    """Milliseconds that an answer took, and what it says; the shortest is the surest."""
    before_ms = time.time() * 1000
    # It rounds down.
    exchange_ms = control(exchange, "state")["now_ms"] + 0.5
    after_ms = time.time() * 1000
    return after_ms - before_ms, (before_ms + after_ms) / 2 - exchange_ms


@contextmanager
def watched(processes: Mapping[str, int]) -> Iterator[dict[str, Usage]]:
    """Filled when the block ends."""
    usage: dict[str, Usage] = {}
    began, before = time.monotonic(), {name: cpu_seconds(process) for name, process in processes.items()}
    yield usage
    elapsed_s = time.monotonic() - began
    for name, process in processes.items():
        usage[name] = Usage((cpu_seconds(process) - before[name]) / elapsed_s, resident_bytes(process))


def time_to_first(socket: SocketNotes) -> float:
    """Seconds from the handshake to the first frame."""
    times, _ = socket.came()
    return times[0] / 1000 - socket.asked_s if len(times) else math.inf


# What is told


def rows(ours: Measured, direct: Measured) -> Iterator[tuple[str, ...]]:
    for kind, (socket, message) in SENT.items():
        figure, raw = ours.figures.get(kind, Figures()), direct.figures.get(message, Figures())
        yield (
            kind,
            number(figure.frames / ours.seconds),
            number(figure.bytes / max(figure.frames, 1) / 1024),
            milliseconds(figure.quantile(0.5)),
            milliseconds(figure.quantile(0.99)),
            number(ours.faults[socket]) if message else NONE,
            *((message, number(raw.frames / direct.seconds)) if message else (NONE, NONE)),
            milliseconds(raw.quantile(0.5)),
            milliseconds(raw.quantile(0.99)),
        )


def process_rows(ours: Measured, direct: Measured) -> Iterator[tuple[str, ...]]:
    for name, usage in ours.ran.usage.items():
        bare = direct.ran.usage.get(name)
        beside = (f"{bare.cpu:.0%}", mebibytes(bare.bytes)) if bare else (NONE, NONE)
        yield name, f"{usage.cpu:.0%}", mebibytes(usage.bytes), *beside


def mebibytes(size: float) -> str:
    return f"{size / (1 << 20):.0f} MiB"


def milliseconds(value: float) -> str:
    return NONE if math.isnan(value) else f"{number(value)} ms"


def both(quantile: Callable[[float], float]) -> str:
    return f"p50 {milliseconds(quantile(0.5))}, p99 {milliseconds(quantile(0.99))}"


def remarks(ours: Measured) -> Iterator[str]:
    book, candles = (ours.figures.get(kind, Figures()) for kind in ("orderbook_update", "candle_update"))
    first = (f"{kind} {median(times):.1f} and {max(times):.1f} s" for kind, times in ours.first_s.items())
    yield from wrap(EXPLAINED.strip(), WIDTH)
    yield f"From a book's own `timestamp`: {both(book.made_quantile)}."
    yield f"From a candle's `stream_timestamp`: {both(candles.made_quantile)}."
    yield f"From handshake to first frame, half of the sockets and the last: {', '.join(first)}."
    yield f"A socket takes {ours.bytes_per_socket / 1024:.0f} KiB of the web process."


def verdicts(sockets: int, ours: Measured) -> list[str]:
    checks = {
        f"all {sockets} sockets stayed open": not ours.ran.closed,
        "; ".join(["no errors", *ours.errors]): not ours.errors,
        "nothing wrong or missing": not any(ours.faults.values()),
    }
    return [f"{'yes' if is_met else 'NO '}  {goal}" for goal, is_met in checks.items()]


if __name__ == "__main__":
    sys.exit(run(main, sys.argv[1:]))
