"""liqui: self-hosted crypto liquidation and market data."""

__version__ = "0.1.0"
