"""Content codings that a client accepts."""

import re
from functools import lru_cache

ACCEPTS = re.compile(r"(?:^|,)\s*(gzip|x-gzip|\*)\s*(?:;\s*q\s*=\s*([0-9.]+)\s*)?(?=,|$)", re.IGNORECASE)


@lru_cache(maxsize=128)
def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header allows gzip: named, or by ``*``, and not with ``q=0``."""
    weights = {name.lower(): quality(weight) for name, weight in ACCEPTS.findall(header)}
    return max((weights[name] for name in ("gzip", "x-gzip") if name in weights), default=weights.get("*", 0)) > 0


def quality(weight: str) -> float:
    try:
        return float(weight or 1)
    except ValueError:
        return 0
