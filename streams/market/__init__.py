"""Order books, trades and candles in a web process: replicas of what a collector has, shared by all its sockets."""
