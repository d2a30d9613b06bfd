"""The collector: holds the venue's sockets, and sees to it that every forced order it receives is stored.

`follower` keeps the connection of some streams (`session`) alive by the rules of `breaker`, `liveness`, `pace` and
`streams.backoff`. Forced orders go to the `spool`, from there through the `writer` to the database, and by the
`publisher` to the channel layer. `coverage` keeps the times during which their stream was received, `status` says how
it all is, and `collector` puts it together.

`market` does what web processes want beyond that, as `listening` hears it and `listing` allows it: `subscriptions` has
the streams on as few connections as they need, keepers (`books`, `tapes`, `candles`) make of them what is true, with
the help of the venue's REST API (`asking`), and `posting` sends it to the channel layer. Candles that have closed wait
in `closed_candles` for the writer.
"""
