"""Texts of keys: readable, and such that different requests never meet in one.

Parts are joined with ":". Whatever could be taken for a separator, a glob character or an escape is percent-encoded,
so a symbol such as ``*`` is data; a part beyond `PART_CHARACTERS` is replaced by "~" and its whole SHA-256.
"""

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode

PART_CHARACTERS = 80
QUERY_CHARACTERS = 1000
# Redis' globs: * ? [ ] ^ - within brackets, and the backslash.
GLOB = re.compile(r"([*?\[\]\\])")


def key_text(*parts: object) -> str:
    """The parts, escaped, with ":" between them. Texts are equal exactly if the parts' texts are."""
    return ":".join(part_text(str(part)) for part in parts)


def part_text(part: str) -> str:
    # "~" is the one character that `quote` leaves alone and that has a meaning here.
    escaped = quote(part, safe="", errors="surrogatepass").replace("~", "%7E")
    if len(escaped) <= PART_CHARACTERS:
        return escaped
    return "~" + hashlib.sha256(part.encode(errors="surrogatepass")).hexdigest()


def query_text(parameters: Mapping[str, object]) -> str:
    """The query as a client would send it; cut off where it is of no use to people any more."""
    return urlencode(parameters, errors="surrogatepass")[:QUERY_CHARACTERS]


def glob_escape(text: str) -> str:
    """A pattern that matches ``text`` alone."""
    return GLOB.sub(r"\\\1", text)
