"""How raw frames are kept: one JSON object per line, ``{"received_ms": 1763715600000, "frame": "…"}``.

The frame is the text as it came, also when it is no JSON: what cannot be understood today can be looked at tomorrow.
Files are called ``….jsonl.zst``.
"""

import msgspec


class RawFrame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message of a venue's socket; ``received_ms`` is our clock, ms UTC."""

    received_ms: int
    frame: str


def raw_frame_line(raw: RawFrame) -> bytes:
    """The line of a file, with its line feed."""
    return msgspec.json.encode(raw) + b"\n"


# Raises `msgspec.DecodeError` or `msgspec.ValidationError` for any other line.
raw_frame_parse = msgspec.json.Decoder(RawFrame).decode
