"""Binance's frames, and the events that they carry; what the events look like is in `payloads`."""

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, field

from marketdata.errors import VenuePayloadError
from marketdata.venues.binance import VENUE
from marketdata.venues.binance.payloads import Event, Payload, event_of

EXCERPT_LENGTH = 200  # of a frame, in an error's text


class CommandError(Struct):
    code: int
    msg: str = ""


class Envelope(Struct):
    """Any JSON object of Binance's: the wrapping of a combined stream, a bare payload, or the answer to a command."""

    data: Raw | UnsetType = UNSET
    event: str | UnsetType = field(name="e", default=UNSET)
    id: int | str | UnsetType | None = UNSET
    result: list[str] | UnsetType | None = UNSET
    error: CommandError | UnsetType = UNSET
    code: int | UnsetType = UNSET
    msg: str = ""


class CommandReply(Struct, frozen=True, kw_only=True):
    """The venue's answer to a SUBSCRIBE, UNSUBSCRIBE or LIST_SUBSCRIPTIONS frame, told by its ``id`` (None: unknown).

    ``error`` is None when the command was carried out; ``streams`` is what LIST_SUBSCRIPTIONS lists.
    """

    id: int | str | None
    streams: list[str] | None = None
    error: str | None = None


decode_frame = msgspec.json.Decoder(Envelope | list[Raw]).decode
decode_payloads = msgspec.json.Decoder(Payload | list[Payload]).decode


def decode(frame: bytes | str, received_ms: int) -> list[Event | CommandReply]:
    """What a frame says, in its order: combined, bare, an array, or the answer to a command.

    It may say nothing: prints of the insurance fund and the like are no trades. Raises `VenuePayloadError` for whatever
    cannot be understood, events of other kinds included.
    """
    try:
        envelope = decode_frame(frame)
        if isinstance(envelope, list):
            return events(decode_payloads(frame), received_ms)
        if envelope.data is not UNSET:
            return events(decode_payloads(envelope.data), received_ms)
        if envelope.event is not UNSET:
            return events(decode_payloads(frame), received_ms)
        return [command_reply(envelope)]
    except (ValueError, RecursionError) as error:
        raise VenuePayloadError(f"{VENUE}: a frame that cannot be understood: {error}: {excerpt(frame)}") from error


def carries_data(frame: bytes | str) -> bool:
    """Whether a frame is of some stream, also of one that `decode` does not know: a sign that the venue is well."""
    try:
        envelope = decode_frame(frame)
    except (ValueError, RecursionError):
        return False
    return is_data(envelope)


def is_data(envelope: Envelope | list[Raw]) -> bool:
    return isinstance(envelope, list) or envelope.data is not UNSET or envelope.event is not UNSET


def reply_of(frame: bytes | str) -> CommandReply | None:
    """The answer to a command, if the frame is one."""
    try:
        envelope = decode_frame(frame)
        return None if isinstance(envelope, list) or is_data(envelope) else command_reply(envelope)
    except (ValueError, RecursionError):
        return None


def events(payloads: Payload | list[Payload], received_ms: int) -> list[Event | CommandReply]:
    found = (event_of(payload, received_ms) for payload in (payloads if isinstance(payloads, list) else (payloads,)))
    return [event for event in found if event is not None]


def command_reply(envelope: Envelope) -> CommandReply:
    """The answer to a command: {"result", "id"}, {"error": {"code", "msg"}, "id"} or {"code", "msg", "id"}."""
    id = None if envelope.id is UNSET else envelope.id
    if envelope.error is not UNSET:
        return CommandReply(id=id, error=f"{envelope.error.msg} (code {envelope.error.code})")
    if envelope.code is not UNSET:
        return CommandReply(id=id, error=f"{envelope.msg} (code {envelope.code})")
    if envelope.result is UNSET or id is None:
        raise ValueError("neither data nor the answer to a command")
    return CommandReply(id=id, streams=envelope.result)


def excerpt(frame: bytes | str) -> str:
    """The beginning of a frame, fit for a line of a log."""
    return ascii(frame[:EXCERPT_LENGTH])
