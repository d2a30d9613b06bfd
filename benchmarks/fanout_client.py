"""Many sockets in one process that note when each frame came: `python -m benchmarks.fanout_client ADDRESS COUNT FILE`.

Every socket gets the same frames, so a frame is only told from others by its bytes, and understood afterwards. Prints
"ready" once all are connected; at the end of standard input it writes what came to FILE, and how many are still there.
"""

import asyncio
import sys
from array import array
from collections import defaultdict
from pathlib import Path

import msgspec
import uvloop

from benchmarks.sockets import Socket, connect

Arrivals = dict[bytes, "array[float]"]  # of each frame: Unix times in seconds


class Listener(Socket):
    def __init__(self, handshake: bytes, arrivals: Arrivals) -> None:
        super().__init__(handshake)
        self.arrivals = arrivals

    def take(self, frame: bytes, now_s: float) -> None:
        self.arrivals[frame].append(now_s)


async def main(address: str, count: str, file: str) -> None:
    arrivals: Arrivals = defaultdict(lambda: array("d"))
    clients = await connect([address] * int(count), lambda handshake: Listener(handshake, arrivals))
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    Path(file).write_bytes(msgspec.msgpack.encode([(frame, times.tobytes()) for frame, times in arrivals.items()]))
    print(sum(client.is_open for client in clients), flush=True)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
