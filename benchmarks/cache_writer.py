"""Writes forced orders of the present, as a collector does, until its standard input ends."""

import os
import sys
import threading
import time
from decimal import Decimal

import django
import numpy as np

PAUSE_S = 0.3
SYMBOLS = 300


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "liqui.settings")
    django.setup()
    from benchmarks.market import market_make
    from liquidations.services import orders_write
    from liquidations.types import ForcedOrder

    random = np.random.default_rng(5)
    market = market_make(random, SYMBOLS)
    is_over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), is_over.set()), daemon=True).start()
    print("writing", flush=True)
    while not is_over.wait(PAUSE_S):
        quantity, price = Decimal(int(random.integers(1, 1000))), Decimal(int(random.integers(1, 100_000)))
        orders_write(
            [
                ForcedOrder(
                    symbol=str(random.choice(market.symbols, p=market.shares)),
                    side="SELL",
                    order_type="LIMIT",
                    time_in_force="IOC",
                    original_quantity=quantity,
                    price=price,
                    average_price=price,
                    order_status="FILLED",
                    order_last_filled_quantity=quantity,
                    order_filled_accumulated_quantity=quantity,
                    order_trade_time=int(time.time() * 1000),
                )
            ]
        )


if __name__ == "__main__":
    main()
