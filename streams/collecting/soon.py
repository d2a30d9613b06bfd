"""Something that is done a moment after it was asked for, once for all who have asked by then."""

import asyncio
from collections.abc import Callable


class Soon:
    def __init__(self, delay_s: float, action: Callable[[], None]) -> None:
        self.delay_s, self.action = delay_s, action
        self.timer: asyncio.TimerHandle | None = None

    def ask(self) -> None:
        if self.timer is None:
            self.timer = asyncio.get_running_loop().call_later(self.delay_s, self.act)

    def act(self) -> None:
        self.timer = None
        self.action()

    def cancel(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
