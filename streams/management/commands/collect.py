"""`manage.py collect`: receives forced orders and stores them, and brings market data, in a process of its own."""

import asyncio
import re
import signal
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

import uvloop
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from streams.collecting.collector import Collector, CollectorRuns, Options

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
SHARD = re.compile(r"([1-9]\d{0,2})/([1-9]\d{0,2})", re.ASCII)
COLLECTED = ("live", "simulated", "replay")


def shard(text: str) -> str:
    match = SHARD.fullmatch(text)
    if not match or int(match[1]) > int(match[2]):
        raise ArgumentTypeError(f"{text!r} is not i/n with i from 1 to n")
    return text


class Command(BaseCommand):
    help = (
        "Receive forced orders from Binance and store them, and bring the order books, trades and candles that "
        "somebody looks at. Several may run, under different names: copies are merged. "
        "SIGTERM stores what has come and ends; SIGHUP tries a connection that waits again at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", help="of its spool and its status (default: collector, with the shard)")
        parser.add_argument(
            "--shard",
            type=shard,
            default="1/1",
            metavar="I/N",
            help="its share of market data by symbol; forced orders are one stream of all, which every shard follows",
        )
        parser.add_argument("--hasten", type=float, default=1.0, help="make every wait so many times shorter")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.LIQUI_FEED not in COLLECTED:
            raise CommandError(f"FEED={settings.LIQUI_FEED} collects nothing: set FEED=live")
        suffix = "" if options["shard"] == "1/1" else f"-{options['shard'].replace('/', '-of-')}"
        name = options["name"] or f"collector{suffix}"
        if not NAME.fullmatch(name) or options["hasten"] <= 0:
            raise CommandError("--name: letters, digits, _, - and . only; --hasten: above 0")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self.collect(Options(name, options["shard"], options["hasten"])))

    async def collect(self, options: Options) -> None:
        loop, collector = asyncio.get_running_loop(), Collector(options)
        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopping.set)
        try:
            await collector.start()
        except (CollectorRuns, OSError) as error:
            raise CommandError(str(error)) from None
        loop.add_signal_handler(signal.SIGHUP, collector.retry_now)
        self.stdout.write(f"Collecting as {options.name} from {collector.follower.host} ({settings.LIQUI_FEED})")
        self.stdout.flush()
        ends = asyncio.create_task(stopping.wait()), asyncio.create_task(collector.failed.wait())
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        await collector.stop()
        if collector.failed.is_set():
            # Whoever supervises us starts us again; the spool keeps what was not stored.
            raise CommandError("the collector has failed")
