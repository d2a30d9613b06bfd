"""Broken frames by the thousand through the real collector: none ends it, and every one is counted."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from django.db import connection
from websockets.asyncio.server import ServerConnection, serve

from marketdata.errors import VenuePayloadError
from marketdata.types import Liquidation
from marketdata.venues.binance import SIMULATED_HEADER
from marketdata.venues.binance.wire import decode
from streams.collecting.collector import Collector, Options
from streams.outbox import identity
from tests.marketdata.test_binance_wire import MUTATIONS, NOW, mutated

SECONDS = 60 + MUTATIONS / 500


@asynccontextmanager
async def venue(frames: Sequence[bytes]) -> AsyncIterator[str]:
    """The address of a server that sends these frames to whoever subscribes, and then stays silent."""

    async def play(client: ServerConnection) -> None:
        half = len(frames) // 2
        asked = json.loads(await client.recv())
        for frame in frames[:half]:
            await client.send(frame, text=True)
        await client.send(json.dumps({"result": None, "id": asked["id"]}))
        for frame in frames[half:]:
            await client.send(frame, text=True)
        await client.wait_closed()

    def mark(_: ServerConnection, __: Any, response: Any) -> None:
        response.headers[SIMULATED_HEADER] = "1"

    async with serve(play, "127.0.0.1", 0, process_response=mark, compression=None) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def orders_of(frame: bytes) -> list[Liquidation] | None:
    """None for a frame that cannot be understood."""
    try:
        return [event for event in decode(frame, NOW) if isinstance(event, Liquidation)]
    except VenuePayloadError:
        return None


def rows() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM binance_liqs")
        return cursor.fetchone()[0]


@pytest.mark.slow
def test_mutated_frames_are_all_counted_and_what_is_sound_in_them_is_stored(
    committed: None, settings: Any, tmp_path: Any
) -> None:
    frames = list(mutated(seed=2027))
    understood = [orders_of(frame) for frame in frames]
    orders = [order for found in understood for order in found or ()]
    settings.LIQUI_HOME, settings.LIQUI_FEED = tmp_path, "simulated"
    settings.BINANCE_API_BASE_URL = "http://127.0.0.1:9"  # nobody listens there

    async def main() -> Collector:
        async with venue(frames) as settings.BINANCE_WS_BASE_URL:
            collector = Collector(Options("mutated"))
            await collector.start()
            async with asyncio.timeout(SECONDS):
                while collector.state.frames < len(frames) or collector.spool.pending:
                    await asyncio.sleep(0.05)
            await collector.stop()
            return collector

    collector = asyncio.run(main())
    state = collector.state
    assert not collector.failed.is_set()
    assert (state.frames, state.undecodable, state.received) == (len(frames), understood.count(None), len(orders))
    assert (collector.follower.connections, state.dropped, collector.writer.stored_count) == (1, 0, len(orders))
    # Most are copies of a few; what the table cannot hold was left out.
    distinct = len(set(map(identity, orders)))
    assert distinct - state.rejected <= rows() <= distinct
    assert len(orders) > 0.01 * len(frames)
