"""TradingView's UDF protocol below /api/v1/udf/, for any chart that speaks it.

After "UDF" in the charting library's documentation (v29). Times are Unix seconds; many values of one kind travel as
tables, an array to a column. Refusals are the protocol's own: {"s": "error", "errmsg": …}.
"""
