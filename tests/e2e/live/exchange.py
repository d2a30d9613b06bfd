"""The exchange simulator in a process of its own, and what it tells of itself: all else is held against that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.e2e.live.programs import Program
from tests.live import wait_until
from tools.servers import free_port


class Order(NamedTuple):
    """A forced order by what both the table and the sockets tell of it; numbers have no zeros at their end."""

    symbol: str
    side: str
    event_ms: int
    filled: str
    average_price: str


def order_of(symbol: str, side: str, event_ms: int, filled: Any, average_price: Any) -> Order:
    return Order(symbol, side, int(event_ms), plain(filled), plain(average_price))


def plain(number: Any) -> str:
    """ "0.190" → "0.19". SQLite keeps decimals as floats, of which 15 digits are right."""
    return f"{Decimal(f'{float(number):.15g}'):f}"


@dataclass(frozen=True, slots=True)
class Interval:
    """Unix ms; the end is not part of it."""

    start_ms: int
    end_ms: int

    @property
    def ms(self) -> int:
        return self.end_ms - self.start_ms


class ExchangeControl:
    """The simulator at a port, whoever has started it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, verify=False)

    def tell(self, command: str, **body: Any) -> Any:
        answer = self.http.post(f"/control/{command}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        return self.http.get(f"/control/{path}").json()

    def is_up(self) -> bool:
        try:
            return self.get("state") is not None
        except httpx.TransportError:
            return False

    def sent_to_the_living(self, within_ms: int = 1000) -> set[Order]:
        """What was sent to a connection that lived for ``within_ms`` after it, or lives.

        Fails where an order was sent to the dying alone: then the test was not careful enough to prove anything.
        """
        ends = {each["id"]: each["closed_ms"] for each in self.get("connections")}
        orders = self.get("sent")["orders"]
        for order in orders:
            lived = [ends[id] is None or ends[id] - order["sent_ms"] >= within_ms for id in order["connections"]]
            assert any(lived), f"sent to nobody who lived to read it: {order}"
        return {order_of(each["symbol"], each["side"], each["T"], each["z"], each["ap"]) for each in orders}

    def followers(self) -> int:
        """Connections that are open and have subscribed."""
        return sum(each["closed_ms"] is None and bool(each["streams"]) for each in self.get("connections"))

    def wait_connected(self, count: int) -> None:
        wait_until(lambda: self.followers() == count, 60, f"{count} collectors are connected")

    def unconnected(self, until_ms: int) -> list[Interval]:
        """The times from the first connection to ``until_ms`` at which there was none."""
        spans = sorted((each["opened_ms"], each["closed_ms"] or until_ms) for each in self.get("connections"))
        gaps: list[Interval] = []
        covered_ms = spans[0][0]
        for opened_ms, closed_ms in spans:
            if opened_ms > covered_ms:
                gaps.append(Interval(covered_ms, opened_ms))
            covered_ms = max(covered_ms, closed_ms)
        return gaps


class Exchange(Program):
    """One of the test's own; its time begins with ``control.tell("resume")``."""

    def __init__(self, home: Path, variables: Mapping[str, str], options: Sequence[str] = ()) -> None:
        self.port = free_port()
        command = ["manage.py", "exchange_simulator", "--port", str(self.port), "--paused", *options]
        super().__init__("exchange", home, command, variables)
        self.control = ExchangeControl(self.port)

    @property
    def addresses(self) -> dict[str, str]:
        """Settings that lead a collector here."""
        return {
            "BINANCE_WS_BASE_URL": f"ws://127.0.0.1:{self.port}",
            "BINANCE_API_BASE_URL": f"http://127.0.0.1:{self.port}",
        }
