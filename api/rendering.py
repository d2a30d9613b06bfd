"""One content type: JSON, compact UTF-8, whatever the client says that it accepts."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

ENCODER = msgspec.json.Encoder(enc_hook=str)


class JSONRenderer(BaseRenderer):
    """Encodes structs, dicts and lists; bytes are taken for JSON that has been encoded already."""

    media_type = "application/json"
    format = "json"
    # JSON is UTF-8 by definition, and the original's clients see the bare type.
    charset = None
    render_style = "binary"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        return data if isinstance(data, bytes) else ENCODER.encode(data)


class OneTypeNegotiation(DefaultContentNegotiation):
    """Answers with the view's first renderer: the contract knows one type a path, and its clients send any Accept."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, str(first.media_type)
