"""Candles: building them from trades, rolling them up, keeping them, and filling in what the venue has of them.

`building`, `rolling` and `files` are pure; `queries` and `services` know the table; `keeping` rolls up what is stored;
`repairing`, `backfilling` and `history` ask the venue for what is missing.
"""
