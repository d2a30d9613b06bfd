"""``manage.py record``: raw frames of Binance's streams, with receive times, in rotating files."""

import asyncio
import signal
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from marketdata.venues.binance.routes import ALL_LIQUIDATIONS
from streams.recording import FrameFiles, Recorder


class Command(BaseCommand):
    help = (
        "Record raw frames of Binance's streams in rotating .jsonl.zst files, until Ctrl-C or SIGTERM. "
        "import_liquidations reads them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "streams",
            nargs="*",
            metavar="STREAM",
            default=[ALL_LIQUIDATIONS],
            help=f"Binance's name of a stream, such as btcusdt@aggTrade (default {ALL_LIQUIDATIONS})",
        )
        parser.add_argument("--folder", type=Path, help="where the files go (default: recordings in LIQUI_HOME)")
        parser.add_argument("--max-mb", type=float, default=256, help="begin a new file beyond this size (default 256)")

    def handle(self, *args: Any, **options: Any) -> None:
        folder = options["folder"] or settings.LIQUI_HOME / "recordings"
        if options["max_mb"] <= 0:
            raise CommandError("--max-mb must be above 0.")
        files = FrameFiles(folder, int(options["max_mb"] * 1e6))
        recorder = Recorder(settings.BINANCE_WS_BASE_URL, options["streams"], files, self.say)
        self.say(f"Recording {', '.join(options['streams'])} into {folder}")
        try:
            asyncio.run(until_told_to_stop(recorder))
        except OSError as error:
            raise CommandError(f"{folder}: {error}; {recorder.summary()}") from error
        self.say(f"Stopped: {recorder.summary()}")

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


async def until_told_to_stop(recorder: Recorder) -> None:
    """Run until Ctrl-C or SIGTERM; the files are complete then."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await recorder.run()
