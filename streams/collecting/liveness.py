"""Whether a connection still receives. No I/O: the caller says what time it is."""

from streams.collecting.times import Times


class Liveness:
    """Of one connection, in Unix ms. Data and pongs are signs of life; only data show that the stream is received."""

    def __init__(self, times: Times, now_ms: int) -> None:
        self.times = times
        self.sign_ms = self.data_ms = now_ms

    def pong(self, now_ms: int) -> None:
        self.sign_ms = now_ms

    def data(self, now_ms: int) -> None:
        self.sign_ms = self.data_ms = now_ms

    def fault(self, now_ms: int) -> str | None:
        """Why the connection must be given up; None while it is well."""
        if now_ms - self.sign_ms > (self.times.ping_s + self.times.pong_s) * 1000:
            return f"no sign of life for {(now_ms - self.sign_ms) / 1000:.0f} s"
        if now_ms - self.data_ms > self.times.silence_s * 1000:
            return f"connected, but no data for {(now_ms - self.data_ms) / 1000:.0f} s"
        return None

    def received_until_ms(self, now_ms: int) -> int:
        """Until when the stream was certainly received, for a connection that ends now."""
        if self.fault(now_ms) is None:
            return now_ms
        is_dead = now_ms - self.sign_ms > (self.times.ping_s + self.times.pong_s) * 1000
        return min(self.sign_ms, now_ms) if is_dead else self.data_ms
