"""The collector: holds the venue's sockets, and sees to it that every forced order it receives is stored.

`follower` keeps a stream's connection (`session`) alive by the rules of `breaker`, `liveness`, `pace` and
`streams.backoff`; what arrives goes to the `spool`, from there through the `writer` to the database, and by the
`publisher` to the channel layer. `coverage` keeps the times during which a stream was received, `status` says how it
all is, and `collector` puts it together.
"""
