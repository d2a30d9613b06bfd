"""Our own recordings (`manage.py record`): lines ``{"received_ms": …, "frame": "…"}``, frames as they came."""

import re
from collections.abc import Iterator

import msgspec

from liquidations.importing.formats.force_order import message_orders
from liquidations.importing.formats.json_values import Value, elements, parse_values
from liquidations.importing.formats.options import ReadOptions
from liquidations.importing.outcomes import Records, Rejected
from liquidations.importing.sources import Source

LINE = re.compile(rb'\{"received_ms":[0-9]+,"frame":"').search


class RecordedFrame(msgspec.Struct):
    frame: str


def recognises(source: Source) -> bool:
    return LINE(source.head) is not None


def read(source: Source, options: ReadOptions) -> Records:
    return parse_values(frame_values(source), message_orders(options))


def frame_values(source: Source) -> Iterator[Value]:
    """The objects in each frame; frames of other streams are among them, and what was no JSON when it came."""
    decode_line = msgspec.json.Decoder(RecordedFrame).decode
    decode_frame = msgspec.json.Decoder(float_hook=str).decode
    for number, line in source.lines():
        text = line
        try:
            text = decode_line(line).frame.encode()
            value = decode_frame(text)
        except (ValueError, RecursionError):
            if line.strip():
                yield Value(number, text, Rejected("text: not JSON"), False)
            continue
        yield from elements(number, text, value)
