"""What runs in the web process's event loop as long as it serves. `manage.py serve` says what that is."""

from typing import Protocol


class Companion(Protocol):
    async def start(self) -> None:
        """Called once in the loop, before the first request; what goes on afterwards is a task of its own."""
        ...

    async def stop(self) -> None:
        """Called in the same loop once no request is served any more."""
        ...


companions: list[Companion] = []
