"""What Prometheus is told of the sockets."""

from prometheus_client import Counter, Gauge

CONNECTIONS = Gauge("liqui_sockets", "Sockets that are open", ["feed"], multiprocess_mode="livesum")
DROPPED = Counter("liqui_sockets_dropped_total", "Sockets closed because their client read too slowly")
REFUSED = Counter("liqui_sockets_refused_total", "Sockets refused or closed by a rule", ["rule"])
DELIVERED = Counter("liqui_live_orders_total", "Live orders handed to the sockets of a process")
MENDED = Counter("liqui_live_orders_mended_total", "Live orders read from the outbox, not received from the group")
FEEDS = Gauge("liqui_feeds", "Feeds of market data that a web process wants", ["kind"], multiprocess_mode="livesum")
FEED_MESSAGES = Counter("liqui_feed_messages_total", "Messages of market data that web processes got", ["kind"])
FRAMES = Counter("liqui_market_frames_total", "Frames of market data, each for any number of sockets", ["kind"])
REPLACED = Counter("liqui_market_frames_replaced_total", "Frames that slow clients were not sent, as newer ones came")
