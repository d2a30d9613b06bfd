"""How far taking over from another service has come, in a small file, so that it can go on after an interruption."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any


class Checkpoint:
    """Per symbol the newest instant (ms) that is still to be fetched, or None when it is complete.

    It holds for one service, one window and one database; a file of another window is ignored.
    """

    def __init__(self, folder: Path, url: str, database: str, since_ms: int, until_ms: int) -> None:
        name = hashlib.sha256(f"{url}\n{database}".encode()).hexdigest()[:16]
        self.path = folder / f"api-{name}.json"
        self.since_ms, self.until_ms = since_ms, until_ms
        self.job = {"url": url, "database": database, "since_ms": since_ms, "until_ms": until_ms}
        self.next_end_ms: dict[str, int | None] = {}

    def load(self) -> bool:
        """Take up what an interrupted run left; False when there is nothing that fits."""
        try:
            saved: Any = json.loads(self.path.read_text())
            if not all(saved[key] == value for key, value in self.job.items()):
                return False
            self.next_end_ms = dict(saved["next_end_ms"])
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return bool(self.next_end_ms)

    def save(self, symbol: str, next_end_ms: int | None) -> None:
        """Remember a symbol's progress; called after its rows are committed, never before."""
        self.next_end_ms[symbol] = next_end_ms
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Replaced whole: an interruption leaves the old file or the new one.
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps({**self.job, "next_end_ms": self.next_end_ms}))
        temporary.replace(self.path)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
