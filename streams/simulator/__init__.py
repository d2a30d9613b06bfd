"""An exchange that speaks Binance USD-M's protocol and plays a made-up market or a recording. No Django.

`market` and `replay` make events, `player` gives them their time, `exchange` hands them to `connection`s; `rest` and
`control` answer HTTP; `serving` puts it all on one port. Which streams there are is said in `kinds`, and only there.

What is told of a market beside its events is made when somebody asks: each symbol is a `listing` of its `tape`, its
`history` before the start, its `klines` and its order book (`books`). `broadcast` makes streams of them, `market_rest`
answers.
"""
