"""Order books, recent trades and candles over REST, as trading terminals ask for them (below /api/v1/).

Books and trades are the venue's own of the last second: `kept` asks for them once, however many clients do.
"""
