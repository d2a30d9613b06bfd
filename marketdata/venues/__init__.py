"""What is one venue's alone: its wire format, addresses and limits. A package each, without Django.

A further venue begins as a copy of a package here; beyond it travel only the values of `marketdata.types`.
"""
