"""Terminals' sockets in one process: `python -m benchmarks.terminal_client ADDRESSES FILE`.

ADDRESSES is a file with one address a line. Prints "ready" once all are connected; at the end of standard input it
writes to FILE what each socket got and when, to be understood afterwards (`benchmarks.terminal_notes`), and how many
are still there.
"""

import asyncio
import sys
import time
from array import array
from collections import defaultdict
from itertools import count
from pathlib import Path

import msgspec
import uvloop

from benchmarks.sockets import Socket, connect
from benchmarks.terminal_notes import Notes, SocketNotes

Numbers = defaultdict[bytes, int]  # of each different frame, in the order in which they came


class Screen(Socket):
    def __init__(self, handshake: bytes, numbers: Numbers) -> None:
        super().__init__(handshake)
        self.numbers = numbers
        self.times, self.seen = array("d"), array("L")
        self.asked_s = time.time()

    def take(self, frame: bytes, now_s: float) -> None:
        self.times.append(now_s)
        self.seen.append(self.numbers[frame])

    def notes(self) -> SocketNotes:
        return SocketNotes(self.asked_s, self.times.tobytes(), self.seen.tobytes())


async def main(addresses: str, file: str) -> None:
    numbers: Numbers = defaultdict(count().__next__)
    clients = await connect(Path(addresses).read_text().split(), lambda handshake: Screen(handshake, numbers))
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    notes = Notes(list(numbers), [client.notes() for client in clients])
    Path(file).write_bytes(msgspec.msgpack.encode(notes))
    print(sum(client.is_open for client in clients), flush=True)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
