"""A chart that speaks UDF, after the protocol's description alone: it knows nothing of how the feed is made."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Fetch = Callable[[str, dict[str, Any]], str]  # from a request's name and parameters to the text of its answer

MAX_REQUESTS = 500


class Refused(Exception):
    """The feed said {"s": "error"}."""


@dataclass(frozen=True)
class Bar:
    time_s: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Chart:
    """Reads a feed as charts do: configuration, then a symbol, then bars from now on backwards."""

    def __init__(self, fetch: Fetch) -> None:
        self.fetch = fetch
        self.config = self.ask("config")
        assert self.config["supports_search"] or self.config["supports_group_request"]

    def ask(self, name: str, **parameters: Any) -> Any:
        answer = json.loads(self.fetch(name, parameters))
        if isinstance(answer, dict) and answer.get("s") == "error":
            raise Refused(answer["errmsg"])
        return answer

    def symbol(self, name: str) -> dict[str, Any]:
        info = self.ask("symbols", symbol=name)
        assert info["session"] == "24x7"
        assert info["timezone"] == "Etc/UTC"
        assert info["has_intraday"] is True
        return info

    def clock_s(self) -> int:
        return int(self.fetch("time", {}))

    def bars(self, ticker: str, resolution: str, **window: int) -> tuple[list[Bar], int | None]:
        """The bars of one answer, and the next time where there are none."""
        answer = self.ask("history", symbol=ticker, resolution=resolution, **window)
        if answer["s"] == "no_data":
            return [], answer.get("nextTime")
        assert answer["s"] == "ok"
        columns = [answer[name] for name in "tohlcv"]
        assert len({len(column) for column in columns}) == 1
        bars = [Bar(*row) for row in zip(*columns, strict=True)]
        assert bars, "ok means that there are some"
        times = [bar.time_s for bar in bars]
        assert times == sorted(set(times))
        return bars, None

    def scrolled_back(self, ticker: str, resolution: str, to_s: int, countback: int) -> list[Bar]:
        """All bars before ``to_s``, ``countback`` at a time."""
        found: list[Bar] = []
        for _ in range(MAX_REQUESTS):
            # The left end counts for nothing beside countback.
            page, _ = self.bars(ticker, resolution, **{"from": to_s + 10**6}, to=to_s, countback=countback)
            if not page:
                return found
            assert len(page) <= countback
            found = page + found
            to_s = page[0].time_s
        raise AssertionError("it never ends")

    def windows_back(self, ticker: str, resolution: str, to_s: int, window_s: int) -> list[Bar]:
        """All bars before ``to_s``, window by window; empty ones are leapt over as the feed says."""
        found: list[Bar] = []
        for _ in range(MAX_REQUESTS):
            from_s = to_s - window_s
            page, next_time_s = self.bars(ticker, resolution, **{"from": from_s}, to=to_s)
            assert all(from_s <= bar.time_s < to_s for bar in page)
            if not page and next_time_s is None:
                return found
            found = page + found
            assert next_time_s is None or next_time_s < from_s
            to_s = from_s if page else next_time_s + 1
        raise AssertionError("it never ends")

    def marks(self, ticker: str, resolution: str, from_s: int, to_s: int) -> list[dict[str, Any]]:
        table = self.ask("marks", symbol=ticker, resolution=resolution, **{"from": from_s}, to=to_s)
        names = ("id", "time", "color", "text", "label", "labelFontColor", "minSize")
        return [dict(zip(names, row, strict=True)) for row in zip(*(table[name] for name in names), strict=True)]
