"""``python -m benchmarks.decode``: Binance's frames decoded a second, on one core, beside plain json.loads."""

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from statistics import median
from typing import Any

from benchmarks.machine import description
from benchmarks.market import orders_generate
from benchmarks.report import aligned, number
from benchmarks.table import rows_of
from marketdata.venues.binance.wire import decode

FRAMES = 20_000
ROUNDS = 7
GOAL = 20_000
NOW = 1_790_000_000_000
# As many decimal places as the symbol has; the placeholders are in the order of `rows_of`.
FORCE_ORDER = (
    '{"stream":"!forceOrder@arr","data":{"e":"forceOrder","E":1790000000000,"o":{"s":"%s","S":"%s","o":"LIMIT",'
    '"f":"IOC","q":"%.*f","p":"%.*f","ap":"%.*f","X":"%s","l":"%.*f","z":"%.*f","T":%d,"st":1}}}'
)
AGG_TRADE = (
    '{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1790000000001,"a":%d,"s":"BTCUSDT","p":"%.1f","q":"%.3f",'
    '"nq":"%.3f","f":1,"l":2,"T":1790000000000,"m":%s}}'
)
NUMBERS = {"q", "p", "ap", "l", "z"}

Decode = Callable[[bytes], Any]


def force_orders() -> list[bytes]:
    orders = orders_generate(FRAMES)
    return [(FORCE_ORDER % row).encode() for rows in rows_of(orders, orders.market.symbols) for row in rows]


def agg_trades() -> list[bytes]:
    chance = random.Random(1)
    return [(AGG_TRADE % values).encode() for values in trade_values(chance)]


def trade_values(chance: random.Random) -> Iterator[tuple[int, float, float, float, str]]:
    for id in range(FRAMES):
        quantity = chance.expovariate(10) + 0.001
        yield id, chance.gauss(95_000, 500), quantity, quantity, chance.choice(("true", "false"))


def decimals_made(frame: bytes) -> dict[str, Any]:
    """What json.loads needs before its numbers can be used: decimals, without any check."""
    data = json.loads(frame)["data"]
    fields = data.get("o", data)
    return {key: Decimal(value) if key in NUMBERS and type(value) is str else value for key, value in fields.items()}


WAYS: dict[str, Decode] = {
    "decode: typed, checked, decimals": lambda frame: decode(frame, NOW),
    "json.loads alone": json.loads,
    "json.loads and decimals, unchecked": decimals_made,
}


def rates(frames: Sequence[bytes]) -> dict[str, float]:
    """Frames a second of each way, the median of rounds taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name, way in WAYS.items():
            began = time.perf_counter()
            for frame in frames:
                way(frame)
            times[name].append(time.perf_counter() - began)
    return {name: len(frames) / median(seconds) for name, seconds in times.items()}


def main() -> None:
    measured = {"forced orders": rates(force_orders()), "aggregate trades": rates(agg_trades())}
    head = ("frames a second", *measured)
    lines = [(name, *(number(rates[name]) for rates in measured.values())) for name in WAYS]
    print(f"{FRAMES:,} frames of each kind, medians of {ROUNDS} rounds, one core. {description()}.\n")
    print("\n".join(aligned([head, *lines])))
    slowest = min(rates[next(iter(WAYS))] for rates in measured.values())
    print(f"\nmust reach {number(GOAL)}: {'yes' if slowest >= GOAL else 'NO'}")


if __name__ == "__main__":
    main()
