"""`manage.py exchange_simulator`: an exchange of one's own, for demonstrations, tests and load."""

import asyncio
import signal
import socket
from argparse import ArgumentParser
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import uvloop
from django.core.management.base import BaseCommand, CommandError

from liquidations.importing.outcomes import SourceUnusable
from streams.simulator.connection import unix_ms
from streams.simulator.contracts import MAX_SYMBOLS, contracts_list
from streams.simulator.exchange import Exchange
from streams.simulator.kinds import Event
from streams.simulator.listing import listings_of
from streams.simulator.market import Market, MarketOptions
from streams.simulator.player import Clock
from streams.simulator.replay import Recording
from streams.simulator.rules import Limits
from streams.simulator.serving import Start, exchange_serving

DEFAULTS = MarketOptions()
DEFAULT_SYMBOLS = 300
MIN_EVENTS_PER_S = 0.1  # the market is made until its next event, while all else waits
MIN_START_MS = 1_000_000_000_000  # less is seconds


@dataclass(frozen=True, slots=True)
class Play:
    """An exchange and what it plays."""

    exchange: Exchange
    events: Iterable[Event]
    description: str
    starts: Start


class Command(BaseCommand):
    help = "An exchange that speaks Binance USD-M's protocol: a seeded market, or a recording. See docs/simulator.md."
    # It uses no database and no setting of ours.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8900, help="0: any free one, which is printed (default 8900)")
        parser.add_argument(
            "--speed", type=float, default=1.0, help="times real time; 0: as fast as clients read (default 1)"
        )
        parser.add_argument("--replay", nargs="+", metavar="FILE", help="recordings to play, one after the other")
        parser.add_argument("--paused", action="store_true", help="time begins with POST /control/resume")
        market = parser.add_argument_group("the market")
        market.add_argument("--seed", type=int, default=DEFAULTS.seed, help="same seed, same market (default 7)")
        market.add_argument(
            "--symbols", type=int, default=DEFAULT_SYMBOLS, help=f"1 to {MAX_SYMBOLS} (default {DEFAULT_SYMBOLS})"
        )
        market.add_argument("--trades", type=float, default=DEFAULTS.trades_per_s, help="a second (default 200)")
        market.add_argument("--orders", type=float, default=DEFAULTS.orders_per_s, help="forced, a second (default 1)")
        market.add_argument("--start", type=int, metavar="MS", help="the market's first moment (default: now)")
        rules = parser.add_argument_group("the rules")
        rules.add_argument(
            "--hasten", type=float, default=1.0, help="pings, missed pongs and the 24 h end come so many times sooner"
        )
        rules.add_argument(
            "--unrouted", action="store_true", help="also send to connections at /ws and /stream, as before April 2026"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        check(options)
        with (
            listening(options["host"], options["port"]) as listener,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(self.serve(options, listener))

    async def serve(self, options: dict[str, Any], listener: socket.socket) -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        play = play_of(options)
        async with exchange_serving(play.exchange, play.events, listener, play.starts):
            host, port = listener.getsockname()[:2]
            place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            self.stdout.write(f"Exchange simulator: http://{place} ws://{place}/market ({play.description})")
            self.stdout.flush()
            await stopping.wait()


def check(options: dict[str, Any]) -> None:
    """Raises `CommandError` for what cannot be played."""
    if not 1 <= options["symbols"] <= MAX_SYMBOLS:
        raise CommandError(f"--symbols: from 1 to {MAX_SYMBOLS}")
    if min(options["speed"], options["trades"], options["orders"]) < 0:
        raise CommandError("--speed, --trades, --orders: not below 0")
    if options["trades"] + options["orders"] < MIN_EVENTS_PER_S:
        raise CommandError(f"--trades and --orders: together at least {MIN_EVENTS_PER_S}")
    if options["hasten"] <= 0:
        raise CommandError("--hasten: above 0")
    if options["start"] is not None and options["start"] < MIN_START_MS:
        raise CommandError("--start: Unix milliseconds")


def play_of(options: dict[str, Any]) -> Play:
    limits = Limits().hastened(options["hasten"])
    speed, unrouted = options["speed"], options["unrouted"]
    start: Start = "when told" if options["paused"] else "at once"
    if options["replay"]:
        recording = recording_of(options["replay"])
        exchange = Exchange(recording.contracts, Clock(recording.start_ms, speed), limits, unrouted)
        description = f"replay, {len(recording.contracts)} symbols, speed {speed:g}"
        # Its first frames are for somebody, too.
        return Play(exchange, recording.events(), description, "when followed" if start == "at once" else start)
    market_options = MarketOptions(options["seed"], options["trades"], options["orders"])
    start_ms = options["start"] or unix_ms()
    contracts = contracts_list(options["symbols"], start_ms)
    market = Market(market_options, contracts, start_ms)
    exchange = Exchange(contracts, Clock(start_ms, speed), limits, unrouted, listings_of(market))
    description = f"seed {options['seed']}, {len(contracts)} symbols, speed {speed:g}"
    return Play(exchange, market.events(), description, start)


def recording_of(paths: list[str]) -> Recording:
    try:
        return Recording(paths)
    except SourceUnusable as fault:
        raise CommandError(f"--replay {fault}") from None


def listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise CommandError(f"cannot listen at {host}, port {port}: {error}") from None
