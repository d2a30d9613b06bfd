"""Where the embedded feed comes from: which one `auto` becomes, and the exchange simulator of a simulated one."""

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from typing import NoReturn

import structlog
from django.conf import settings
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from liqui.settings.feeds import SIMULATED_FEEDS
from marketdata.venues.binance.refusals import connection_fault
from marketdata.venues.binance.routes import ALL_LIQUIDATIONS, route_of, stream_url

TRY_S = 5.0
START_S = 20.0
RESTART_S = 1.0
ADDRESS = re.compile(r"http://(\S+) ")

logger = structlog.get_logger(__name__)


def decide_and_start_again() -> NoReturn:
    """FEED=auto: live if Binance can be reached within five seconds, else simulated, which is said with the reason.

    The process starts itself again, because the database goes by the feed and is part of the settings.
    """
    fault = asyncio.run(reachable())
    if fault:
        print(f"{fault}. A simulated exchange is played instead; FEED=live keeps trying.", flush=True)
    os.environ["FEED"] = "simulated" if fault else "live"
    if fault:
        # Also where another exchange than Binance was named: an empty value is none, and wins over .env.
        os.environ["BINANCE_WS_BASE_URL"] = os.environ["BINANCE_API_BASE_URL"] = ""
    os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606


async def reachable() -> str | None:
    """Why Binance's streams cannot be had; None when they can."""
    url = stream_url(settings.BINANCE_WS_BASE_URL, route_of(ALL_LIQUIDATIONS), [ALL_LIQUIDATIONS])
    try:
        async with asyncio.timeout(TRY_S), connect(url, compression=None, open_timeout=TRY_S, close_timeout=1):
            return None
    except (OSError, WebSocketException) as error:
        return str(connection_fault(error, url.partition("://")[2].partition("/")[0]))


class OwnExchange:
    """The exchange simulator as a process of ours, which ends with us. None is started for other feeds, nor where
    BINANCE_WS_BASE_URL names an exchange.
    """

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.is_stopping = False

    def start(self) -> None:
        """Begin to start it; `wait` before anybody connects."""
        if settings.LIQUI_FEED in SIMULATED_FEEDS and not settings.ENVIRONMENT.names_an_exchange:
            self.process = self.started(port=0)

    def started(self, port: int) -> subprocess.Popen[str]:
        replay = ["--replay", settings.ENVIRONMENT.replay_path] if settings.LIQUI_FEED == "replay" else []
        manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
        command = [*manage, "exchange_simulator", "--port", str(port), *replay]
        # Its standard input ends with us, however we die, and then it ends too.
        return subprocess.Popen(
            # A session of its own: Ctrl-C is for us, and the collector leaves before the exchange does.
            [*ENDS_WITH_INPUT, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait(self) -> None:
        """Until it serves; from then on the settings name it. Raises OSError when it does not."""
        if self.process is not None:
            address = self.address(self.process)
            settings.BINANCE_WS_BASE_URL, settings.BINANCE_API_BASE_URL = f"ws://{address}", f"http://{address}"
            port = int(address.rpartition(":")[2])
            threading.Thread(target=self.watch, args=(self.process, port), name="exchange", daemon=True).start()

    def watch(self, process: subprocess.Popen[str], port: int) -> None:
        """Start it again where it was, should it end before we do."""
        while (status := process.wait()) is not None and not self.is_stopping:
            logger.error("the exchange simulator has ended and is started again", status=status)
            time.sleep(RESTART_S)
            self.process = process = self.started(port)

    def address(self, process: subprocess.Popen[str]) -> str:
        """host:port, as the simulator prints it once it serves."""
        assert process.stdout is not None
        timer = threading.Timer(START_S, process.kill)
        timer.start()
        line = process.stdout.readline()
        timer.cancel()
        if match := ADDRESS.search(line):
            return match[1]
        self.stop()
        raise OSError(f"the exchange simulator did not start (FEED={settings.LIQUI_FEED})")

    def stop(self) -> None:
        self.is_stopping = True
        if self.process is not None:
            self.process.terminate()


# The shell waits for the end of its standard input in the background, and is replaced by the program.
ENDS_WITH_INPUT = ("sh", "-c", 'exec 3<&0; (read -r _ <&3; kill "$$" 2>/dev/null) & exec "$@" 3<&- </dev/null', "sh")
