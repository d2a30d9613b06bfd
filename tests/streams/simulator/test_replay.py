"""Recordings of every form become the events that they hold, at the times at which they were received."""

import gzip
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from liquidations.importing.outcomes import SourceUnusable
from streams.raw_frames import RawFrame, raw_frame_line
from streams.simulator.kinds import Event
from streams.simulator.replay import MAX_GAP_MS, Recording, unix_ms, without_gaps
from tests.backend import sqlite_only
from tests.streams.simulator.running import START_MS, orders

pytestmark = sqlite_only("the exchange uses no database")

FRAMES = [
    '{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":5,"s":"BTCUSDT","p":"84000.10","q":"0.001"}}',
    '{"stream":"!forceOrder@arr","data":' + msgspec.json.encode(next(orders(1)).payload).decode() + "}",
    '{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":6,"s":"BTCUSDT","b":[["84000.00","1"]],"a":[]}}',
]


def recording(path: Path) -> list[Event]:
    return list(Recording([str(path)]).events())


def kinds(events: Iterable[Event]) -> Counter[str]:
    return Counter(event.streams[-1].partition("@")[2] for event in events)


@pytest.mark.parametrize(
    ("whole", "fraction", "expected_ms"),
    [
        (b"1626992741", b"", 1_626_992_741_000),
        (b"1626992741", b"06217", 1_626_992_741_062),
        (b"1626992741062", b"", 1_626_992_741_062),
        (b"1680652700423575", b"", 1_680_652_700_423),
        (b"1721347020984480942", b"", 1_721_347_020_984),
    ],
)
def test_receive_times_of_every_unit_are_read(whole: bytes, fraction: bytes, expected_ms: int) -> None:
    assert unix_ms(whole, fraction) == expected_ms


@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
@pytest.mark.parametrize("form", ["{ms} {frame}", "{ms}000: {frame}", "our own"])
def test_frames_with_receive_times_are_played_at_them(tmp_path: Path, form: str, packed: str) -> None:
    times_ms = [START_MS, START_MS + 250, START_MS + 900]
    lines = [
        raw_frame_line(RawFrame(ms, frame))
        if form == "our own"
        else form.format(ms=ms, frame=frame).encode() + b"\n"
        for ms, frame in zip(times_ms, FRAMES, strict=True)
    ]  # fmt: skip
    text = b"".join(lines)
    path = tmp_path / f"frames.jsonl{packed}"
    path.write_bytes({".gz": gzip.compress, ".zst": zstandard.compress}.get(packed, bytes)(text))
    events = recording(path)
    assert [event.at_ms for event in events] == times_ms
    assert [json.loads(msgspec.json.encode(event.payload)) for event in events] == [
        json.loads(frame)["data"] for frame in FRAMES
    ]
    assert events[0].streams == ("btcusdt@aggTrade",)
    assert events[1].streams == ("!forceOrder@arr", "btcusdt@forceOrder")
    assert events[1].order == next(orders(1)).order
    assert events[2].streams == ("btcusdt@depth@100ms",)


def test_a_payload_is_sent_byte_for_byte_as_it_was_recorded(tmp_path: Path) -> None:
    payload = '{ "e":"forceOrder", "E":1,"new":[1.50], "o":' + msgspec.json.encode(next(orders(1)).order).decode() + "}"
    (tmp_path / "f.jsonl").write_text(f'{{"stream":"!forceOrder@arr","data":{payload}}}\n{payload}\n')
    assert [msgspec.json.encode(event.payload) for event in recording(tmp_path / "f.jsonl")] == [payload.encode()] * 2


@given(st.lists(st.integers(-MAX_GAP_MS * 2, MAX_GAP_MS * 3), min_size=1, max_size=30))
def test_gaps_are_skipped_short_pauses_kept_and_time_never_goes_back(steps_ms: list[int]) -> None:
    times_ms = [START_MS]
    for step_ms in steps_ms:
        times_ms.append(times_ms[-1] + step_ms)
    played = [event.at_ms for event in without_gaps(Event(ms, (), msgspec.Raw()) for ms in times_ms)]
    assert played[0] == START_MS
    for number in range(len(steps_ms)):
        ahead_ms = times_ms[number + 1] - max(times_ms[: number + 1])
        expected_ms = max(ahead_ms, 0) if ahead_ms <= MAX_GAP_MS else 0
        assert played[number + 1] - played[number] == expected_ms


def test_several_files_are_played_one_after_the_other(tmp_path: Path) -> None:
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for path, start_ms in zip(paths, (START_MS, START_MS + 1000), strict=True):
        path.write_text("".join(f"{start_ms + number} {frame}\n" for number, frame in enumerate(FRAMES)))
    events = Recording([str(path) for path in paths]).events()
    assert [event.at_ms - START_MS for event in events] == [0, 1, 2, 1000, 1001, 1002]


def test_lines_that_are_no_frames_are_left_out(tmp_path: Path) -> None:
    junk = ["wss://x <-> 1626992741", "", '{"result":null,"id":1}', "17 {", f"{START_MS} [1,2]", f"{START_MS} {{}}"]
    (tmp_path / "f.txt").write_text("\n".join([*junk, f"{START_MS} {FRAMES[0]}", *junk]))
    assert len(recording(tmp_path / "f.txt")) == 1


def test_a_file_that_is_cut_off_is_played_to_its_fault(tmp_path: Path) -> None:
    text = "".join(f"{START_MS + number} {FRAMES[0]}\n" for number in range(20_000)).encode()
    path = tmp_path / "cut.txt.gz"
    path.write_bytes(gzip.compress(text)[:-20])
    assert len(recording(path)) > 1000


def test_what_cannot_be_played_is_said_before_anything_is_served(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no frames here\n")
    for path, words in (("missing.txt", "No such file"), ("notes.txt", "not recognised")):
        with pytest.raises(SourceUnusable, match=words):
            Recording([str(tmp_path / path)])


def test_recorded_sockets_are_played_whole(recordings: Path) -> None:
    expected = {
        "wsraw_btcusdt_20230404.txt.gz": (13_383, 1_680_652_700_423, "trade", 2_197),
        "wsraw_btcusdt_20240718.txt.gz": (11_413, 1_721_347_020_984, "depth@0ms", 3_326),
        "wsraw_multi_2021-07-22.ws.txt.gz": (1_535, 1_626_992_741_062, "aggTrade", 91),
    }
    for name, (count, start_ms, kind, of_kind) in expected.items():
        events = recording(recordings / name)
        assert (len(events), events[0].at_ms, kinds(events)[kind]) == (count, start_ms, of_kind)


def test_recorded_frames_of_forced_orders_keep_the_keys_of_their_year(recordings: Path) -> None:
    events = recording(recordings / "forceorder_frames_2021_2026.jsonl")
    lines = (recordings / "forceorder_frames_2021_2026.jsonl").read_text().splitlines()
    messages = [json.loads(line) for line in lines]
    assert [json.loads(msgspec.json.encode(event.payload)) for event in events] == [
        message.get("data", message) for message in messages
    ]
    assert events[3].streams == ("!forceOrder@arr", "牛来usdt@forceOrder")


def test_recorded_csvs_become_forced_orders(recordings: Path) -> None:
    events = recording(recordings / "liq_allsymbols_2025-12-11_h01-02.csv.gz")
    assert (len(events), kinds(events)["forceOrder"]) == (6_582, 6_582)
    # Its first row is a year and a half old: nobody waits for that.
    assert events[-1].at_ms - events[0].at_ms < 2 * 3_600_000
    missing_averages = recording(recordings / "liq_allsymbols_2025-06-23_late_a.csv")
    assert {event.order.ap for event in missing_averages if event.order} == {"0"}
    # The second part of this file has neither symbols nor sides.
    one_symbol = recording(recordings / "liq_btcusdt_2024-12-04_ist.csv")
    assert len(one_symbol) == 1_844
    assert one_symbol[0].order is not None
    assert one_symbol[0].order.T == 1_733_330_785_584


def test_the_symbols_of_a_recording_have_steps_as_fine_as_its_numbers(recordings: Path) -> None:
    contracts = Recording([str(recordings / "wsraw_multi_2021-07-22.ws.txt.gz")]).contracts
    assert {contract.symbol: contract.tick for contract in contracts} == {
        "SUSHIUSDT": "0.0001", "AKROUSDT": "0.00001", "KEEPUSDT": "0.0001", "CTKUSDT": "0.00001",
    }  # fmt: skip
