"""How far a long run has come: a bar on a terminal, else a line every few seconds."""

import shutil
import time
from typing import Protocol, TextIO

from tqdm import tqdm

LINE_SECONDS = 5.0


class Progress(Protocol):
    def update(self, rows: int, done: int) -> None:
        """``rows`` read so far; ``done`` of the total that was named at the start."""

    def close(self) -> None: ...


class Silence:
    def update(self, rows: int, done: int) -> None:
        pass

    def close(self) -> None:
        pass


class Bar:
    def __init__(self, out: TextIO, total: int | None, unit: str) -> None:
        # tqdm draws nothing on a terminal that does not know its size; this falls back to 80 by 24.
        size = shutil.get_terminal_size()
        self.bar = tqdm(
            total=total,
            file=out,
            unit=unit,
            unit_scale=unit == "B",
            ncols=size.columns,
            nrows=size.lines,
            leave=False,
        )
        self.started_at = time.monotonic()

    def update(self, rows: int, done: int) -> None:
        rate = rows / max(time.monotonic() - self.started_at, 0.001)
        self.bar.set_postfix_str(f"{rows:,} rows, {rate:,.0f}/s", refresh=False)
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        self.bar.close()


class Lines:
    def __init__(self, out: TextIO, total: int | None, every_s: float = LINE_SECONDS) -> None:
        self.out, self.total, self.every_s = out, total, every_s
        self.started_at = self.said_at = time.monotonic()

    def update(self, rows: int, done: int) -> None:
        now = time.monotonic()
        if now - self.said_at >= self.every_s:
            self.said_at = now
            elapsed_s = now - self.started_at
            print(
                f"{rows:,} rows, {rows / elapsed_s:,.0f}/s{self.remaining(done, elapsed_s)}", file=self.out, flush=True
            )

    def remaining(self, done: int, elapsed_s: float) -> str:
        if not self.total or not done:
            return ""
        share = min(done / self.total, 1.0)
        return f", {share:.0%}, about {duration(elapsed_s * (1 - share) / share)} left"

    def close(self) -> None:
        pass


def progress_on(out: TextIO, total: int | None, unit: str) -> Progress:
    return Bar(out, total, unit) if out.isatty() else Lines(out, total)


def duration(seconds: float) -> str:
    minutes, rest_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest_s:02} s" if minutes else f"{rest_s} s"
