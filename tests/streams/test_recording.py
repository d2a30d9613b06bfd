"""`manage.py record` against a real WebSocket server: what it keeps, how it comes back, how it ends."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve

from liquidations.importing.formats import ReadOptions, records_of
from liquidations.importing.outcomes import SourceUnusable
from liquidations.importing.sources import SourceFile
from streams import backoff, recording
from streams.backoff import Backoff
from streams.raw_frames import RawFrame
from streams.recording import HOUR_MS, FrameFiles, Recorder
from tests.backend import sqlite_only
from tests.live import wait_until
from tools.environment import clean_environment
from tools.servers import free_port

pytestmark = sqlite_only("the recorder uses no database")

ROOT = Path(__file__).resolve().parents[2]
T0 = 1_704_067_200_000  # 2024-01-01T00:00:00Z
SECONDS = 30


def force_order(number: int) -> str:
    order = {
        "s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "1", "p": "42000.5", "ap": "42010.1",
        "X": "FILLED", "l": "1", "z": "1", "T": T0 + number,
    }  # fmt: skip
    return json.dumps({"stream": "!forceOrder@arr", "data": {"e": "forceOrder", "E": T0 + number, "o": order}})


def lines_of(path: Path) -> list[RawFrame]:
    """The lines of a file that is complete."""
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=False) as packed:
        return [msgspec.json.decode(line, type=RawFrame) for line in io.BufferedReader(packed)]


def frames_in(folder: Path) -> list[str]:
    return [raw.frame for path in sorted(folder.iterdir()) for raw in lines_of(path)]


def orders_in(folder: Path) -> list[int]:
    """Numbers of the orders that an import reads from the folder's files, also from one that lacks its end."""
    found = []
    for path in sorted(folder.glob("*.zst")):
        for source in SourceFile(str(path)).sources():
            with suppress(SourceUnusable):
                for record in records_of(source, ReadOptions()):
                    found.append(record.outcome.order_trade_time - T0)
    return found


# Files ------------------------------------------------------------------------------------------------------------


def test_each_hour_has_a_file_of_its_own_named_after_its_first_frame(tmp_path: Path) -> None:
    files = FrameFiles(tmp_path / "deep" / "folder", max_bytes=1_000_000)
    for received_ms in (T0 + 5, T0 + 6, T0 + HOUR_MS, T0 + HOUR_MS + 1):
        files.write(RawFrame(received_ms, "x"))
    files.close()
    assert files.names == ["binance-20240101T000000.005Z.jsonl.zst", "binance-20240101T010000.000Z.jsonl.zst"]
    first, second = (lines_of(tmp_path / "deep" / "folder" / name) for name in files.names)
    assert [raw.received_ms for raw in first + second] == [T0 + 5, T0 + 6, T0 + HOUR_MS, T0 + HOUR_MS + 1]
    assert len(first) == 2


def test_a_second_file_of_the_same_instant_gets_a_number(tmp_path: Path) -> None:
    for _ in range(3):
        files = FrameFiles(tmp_path, max_bytes=1_000_000)
        files.write(RawFrame(T0, "x"))
        files.close()
    assert len(frames_in(tmp_path)) == len(list(tmp_path.iterdir())) == 3


@given(
    frames=st.lists(st.tuples(st.text(max_size=40), st.integers(0, HOUR_MS // 2), st.booleans()), max_size=30),
    max_bytes=st.integers(1, 200),
)
def test_every_frame_is_kept_in_order_however_files_rotate_and_flush(
    frames: list[tuple[str, int, bool]], max_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("frames")
    files, now = FrameFiles(folder, max_bytes), T0
    for text, pause_ms, is_flushed in frames:
        now += pause_ms
        files.write(RawFrame(now, text))
        if is_flushed:
            files.flush()
    files.close()
    assert [raw.frame for name in files.names for raw in lines_of(folder / name)] == [text for text, *_ in frames]
    assert files.size == sum(path.stat().st_size for path in folder.iterdir())
    # A file that has grown beyond the limit takes nothing more.
    assert all((folder / name).stat().st_size < max_bytes + 500 for name in files.names)


@given(flushed=st.integers(1, 60), unflushed=st.integers(0, 20), cut=st.integers(0, 400))
def test_what_was_flushed_is_readable_however_the_file_is_cut_afterwards(
    flushed: int, unflushed: int, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    files = FrameFiles(folder, max_bytes=1_000_000)
    for number in range(flushed):
        files.write(RawFrame(T0 + number, force_order(number)))
    files.flush()
    path = folder / files.names[0]
    kept = path.stat().st_size
    for number in range(flushed, flushed + unflushed):
        files.write(RawFrame(T0 + number, force_order(number)))
    files.close()
    os.truncate(path, min(kept + cut, path.stat().st_size))
    orders = orders_in(folder)
    assert orders[:flushed] == list(range(flushed))
    assert orders == list(range(len(orders)))


# Connections ------------------------------------------------------------------------------------------------------

Handler = Callable[[ServerConnection], Awaitable[None]]


def record(
    handler: Handler, folder: Path, until: Callable[[list[str]], bool], streams: list[str] | None = None
) -> list[str]:
    """Record from a server that serves with ``handler`` until ``until`` holds of the lines said; all lines said."""
    said: list[str] = []

    async def scene() -> None:
        async with serve(handler, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            files = FrameFiles(folder, 1_000_000)
            recorder = Recorder(f"ws://127.0.0.1:{port}", streams or ["!forceOrder@arr"], files, said.append)
            running = asyncio.create_task(recorder.run())
            async with asyncio.timeout(SECONDS):
                while not until(said) and not running.done():
                    await asyncio.sleep(0.01)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    asyncio.run(scene())
    return said


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> list[Backoff]:
    """Pauses in milliseconds instead of seconds; every pause-keeper that is made."""
    made: list[Backoff] = []

    class Kept(Backoff):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(recording, "Backoff", Kept)
    monkeypatch.setattr(backoff, "DELAYS_S", tuple(delay / 1000 for delay in backoff.DELAYS_S))
    return made


@pytest.mark.contract("D122")
def test_pauses_grow_up_to_thirty_seconds_and_begin_anew_after_a_reset() -> None:
    pauses = Backoff()
    for _ in range(2):
        for expected in (1, 2, 5, 10, 30, 30, 30):
            assert 0.8 * expected <= pauses.next_s() <= 1.2 * expected
        pauses.reset()


@pytest.mark.contract("D122")
def test_a_connection_that_closes_cleanly_is_made_again_and_again(tmp_path: Path, hasty: list[Backoff]) -> None:
    numbers = iter(range(100))

    async def one_order_each(socket: ServerConnection) -> None:
        await socket.send(force_order(next(numbers)))

    record(one_order_each, tmp_path, lambda said: sum("connected" in line for line in said) >= 4)
    assert orders_in(tmp_path)[:3] == [0, 1, 2]
    assert hasty[0].failures <= 1


@pytest.mark.contract("D122")
@pytest.mark.parametrize("sent", [None, "garbage", '{"code":2,"msg":"Invalid request"}'])
def test_only_a_good_message_resets_the_pauses(tmp_path: Path, hasty: list[Backoff], sent: str | None) -> None:
    async def no_good(socket: ServerConnection) -> None:
        if sent:
            await socket.send(sent)

    record(no_good, tmp_path, lambda said: sum("again in" in line for line in said) >= 4)
    assert hasty[0].failures >= 4


def test_streams_of_two_routes_need_two_connections_into_the_same_files(tmp_path: Path) -> None:
    paths = []

    async def say_path(socket: ServerConnection) -> None:
        assert socket.request is not None
        paths.append(socket.request.path)
        await socket.send(json.dumps({"stream": socket.request.path, "data": {"e": "x"}}))
        await socket.wait_closed()

    streams = ["btcusdt@depth", "!forceOrder@arr"]
    record(say_path, tmp_path, lambda _: len(paths) == 2, streams)
    assert sorted(paths) == ["/market/stream?streams=!forceOrder@arr", "/public/stream?streams=btcusdt@depth"]


def test_frames_are_kept_as_they_came_whatever_they_are(tmp_path: Path) -> None:
    frames = ['{"a": "牛来"}', "", "no json", "\x00\u2028", "x" * 100_000, force_order(1)]

    async def strange(socket: ServerConnection) -> None:
        for frame in (*frames, b"\xff\x01"):
            await socket.send(frame)
        await asyncio.sleep(0.2)

    record(strange, tmp_path, lambda said: any("again in" in line for line in said))
    assert frames_in(tmp_path)[:7] == [*frames, "\\xff\x01"]


def test_a_silent_connection_is_given_up(tmp_path: Path, hasty: list[Backoff], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "SILENCE_SECONDS", 0.1)

    async def silent(socket: ServerConnection) -> None:
        await socket.wait_closed()

    said = record(silent, tmp_path, lambda said: sum("connected" in line for line in said) >= 2)
    assert any("no answer in time; again in" in line for line in said)


def test_a_refused_handshake_says_why_and_a_limit_is_waited_for(tmp_path: Path) -> None:
    async def scene(status: int) -> list[str]:
        said: list[str] = []
        async with serve(
            lambda socket: socket.wait_closed(),
            "127.0.0.1",
            0,
            process_request=lambda socket, request: refusing(socket, status),
        ) as server:
            port = server.sockets[0].getsockname()[1]
            files = FrameFiles(tmp_path, 1_000_000)
            running = asyncio.create_task(
                Recorder(f"ws://127.0.0.1:{port}", ["!forceOrder@arr"], files, said.append).run()
            )
            async with asyncio.timeout(SECONDS):
                while not said:
                    await asyncio.sleep(0.01)
            running.cancel()
            await asyncio.wait([running])
        return said

    def refusing(socket: ServerConnection, status: int):
        answer = socket.respond(status, "no\n")
        answer.headers["Retry-After"] = "77"
        return answer

    assert "answered 451: it does not serve this country" in asyncio.run(scene(451))[0]
    assert asyncio.run(scene(429))[0].endswith("too many requests, wait 77 s; again in 77 s")
    assert list(tmp_path.iterdir()) == []


# The command ------------------------------------------------------------------------------------------------------


@contextmanager
def recording_process(folder: Path, port: int, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """`manage.py record` into ``folder``/frames, and the file of what it prints."""
    environment = clean_environment(os.environ, str(folder / "home")) | {
        "BINANCE_WS_BASE_URL": f"ws://127.0.0.1:{port}"
    }
    printed = folder / "printed"
    with printed.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "record", "--folder", str(folder / "frames"), *arguments],
            cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, text=True,
        )  # fmt: skip
    try:
        yield process, printed
    finally:
        process.kill()
        process.wait()


@contextmanager
def exchange() -> Iterator[tuple[int, list[int]]]:
    """A server that sends an order every 20 ms and drops each connection after ten; its port, and what it has sent."""
    sent: list[int] = []
    started: list[int] = []

    async def run(stop: asyncio.Event) -> None:
        async def orders(socket: ServerConnection) -> None:
            for _ in range(10):
                await socket.send(force_order(len(sent)))
                sent.append(len(sent))
                await asyncio.sleep(0.02)
            # Without a close frame, as a broken connection ends; what was sent before still arrives.
            socket.transport.close()

        async with serve(orders, "127.0.0.1", 0) as server:
            started.append(server.sockets[0].getsockname()[1])
            await stop.wait()

    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    thread = Thread(target=loop.run_until_complete, args=(run(stop),))
    thread.start()
    wait_until(lambda: started, SECONDS, "the server listens")
    try:
        yield started[0], sent
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_records_through_lost_connections_and_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with exchange() as (port, sent), recording_process(tmp_path, port) as (process, printed):
        wait_until(lambda: len(sent) > 12 or process.poll() is not None, SECONDS, "a second connection")
        process.send_signal(number)
        assert process.wait(SECONDS) == 0, printed.read_text()
    text = printed.read_text()
    assert "Recording !forceOrder@arr into" in text
    assert f"binance: connected to 127.0.0.1:{port}/market/stream" in text
    assert text.splitlines()[-1].startswith("Stopped: ")
    orders = [json.loads(frame)["data"]["o"]["T"] - T0 for frame in frames_in(tmp_path / "frames")]
    # Complete files, in order, nothing twice. The last orders were sent while it stopped; ten are one connection's.
    assert orders == sent[: len(orders)]
    assert len(orders) >= 10


@pytest.mark.slow
def test_a_killed_recorder_loses_at_most_what_it_had_not_flushed(tmp_path: Path) -> None:
    with exchange() as (port, sent), recording_process(tmp_path, port) as (process, printed):
        # Flushed while it runs: nothing but time is needed for what was received to be safe.
        wait_until(lambda: len(orders_in(tmp_path / "frames")) >= 10, SECONDS, "the first connection's orders on disk")
        process.kill()
        process.wait(SECONDS)
        sent_by_then = list(sent)
    orders = orders_in(tmp_path / "frames")
    assert len(orders) >= 10, printed.read_text()
    assert orders == sent_by_then[: len(orders)]


@pytest.mark.slow
def test_the_command_says_in_one_line_why_it_cannot_connect_or_write(tmp_path: Path) -> None:
    with recording_process(tmp_path, free_port()) as (process, printed):
        wait_until(lambda: "again in" in printed.read_text(), SECONDS, "a failed attempt")
        process.terminate()
        assert process.wait(SECONDS) == 0
    assert "connection refused: nothing listens there, or a firewall is in between; again in 1 s" in printed.read_text()
    (tmp_path / "frames").write_text("a file where the folder should be")
    with exchange() as (port, _), recording_process(tmp_path, port) as (process, printed):
        assert process.wait(SECONDS) == 1
    assert (
        printed.read_text().splitlines()[-1].startswith(f"CommandError: {tmp_path / 'frames'}: [Errno 17] File exists")
    )
