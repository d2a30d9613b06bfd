"""Binance's USD-M futures. What its streams and limits mean is in docs/venues/binance.md.

`wire` makes events of frames, `routes` says what is subscribed where and how fast, `rest` asks over HTTP, `refusals`
puts into words what may go wrong.
"""

VENUE = "binance"
SIMULATED_HEADER = "X-Liqui-Simulated"  # our exchange simulator marks its answers and handshakes with it
