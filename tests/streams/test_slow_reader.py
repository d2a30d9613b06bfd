"""A client that stops reading, over a real connection: it is closed, and nobody else notices."""

import socket
from pathlib import Path

import pytest
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Concat

from streams.models import OutboxOrder
from tests.live import LiveServer, serving, wait_until
from tests.streams.sockets import client, liquidation, numbers_start, store

QUEUED = 50
BURST = 40  # fits the queue: who has read the last burst is never too slow for the next
PADDING = " " * 60_000  # of a frame, so that the kernel's buffers are soon full
MOST_BURSTS = 20


@pytest.mark.contract("D121")
def test_who_stops_reading_is_closed_with_1013_while_others_get_every_order(committed: None, tmp_path: Path) -> None:
    numbers_start()
    with serving("asgi", tmp_path, WS_MAX_QUEUED=str(QUEUED)) as server:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        with (
            client(server, "/liquidations", max_queue=1, sock=connection) as slow,
            client(server, "/liquidations") as well,
        ):
            assert well.next()["type"] == slow.next()["type"] == "feed"
            for burst in range(MOST_BURSTS):
                stored = stored_padded(burst)
                assert [order["sequence"] for order in well.orders(BURST)] == stored
                if dropped(server):
                    break
            wait_until(lambda: dropped(server), 10, "the client that does not read is dropped")
            assert slow.closed() == (1013, "Too slow: messages were waiting")
            # And the other one goes on.
            stored = stored_padded(MOST_BURSTS)
            assert [order["sequence"] for order in well.orders(BURST)] == stored


def stored_padded(burst: int) -> list[int]:
    """The numbers of a burst of new orders with large frames; the hub finds them in the outbox."""
    at = liquidation().event_ms
    with transaction.atomic():
        live = store(*[liquidation(at + n, quantity=f"{burst}.{n + 1}") for n in range(BURST)])
        numbers = [order.sequence for order in live if order.sequence is not None]
        OutboxOrder.objects.filter(sequence__in=numbers).update(text=Concat(F("text"), Value(PADDING)))
    return numbers


def dropped(server: LiveServer) -> float:
    lines = server.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("liqui_sockets_dropped_total"))
