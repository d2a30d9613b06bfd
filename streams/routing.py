"""Which path is which socket."""

from typing import Any

from channels.routing import URLRouter
from django.urls import path, re_path

from streams.admission import OriginCheck
from streams.sockets.base import Socket
from streams.sockets.liquidations import AllSymbolsSocket, SymbolSocket
from streams.sockets.market import CandlesSocket, OrderBookSocket, TradesSocket
from streams.sockets.others import TestSocket, UnknownSocket


def served_by(socket: type[Socket]) -> Any:
    """An ASGI application in a view's place, which Channels' router expects and Django's types do not."""
    return socket.as_asgi()


websockets = OriginCheck(
    URLRouter(
        [
            path("api/v1/ws/liquidations", served_by(AllSymbolsSocket)),
            path("api/v1/ws/liquidations/<str:symbol>", served_by(SymbolSocket)),
            path("api/v1/ws/orderbook", served_by(OrderBookSocket)),
            path("api/v1/ws/orderbook/<str:symbol>", served_by(OrderBookSocket)),
            path("api/v1/ws/trades", served_by(TradesSocket)),
            path("api/v1/ws/trades/<str:symbol>", served_by(TradesSocket)),
            path("api/v1/ws/candles", served_by(CandlesSocket)),
            path("api/v1/ws/candles/<str:symbol>", served_by(CandlesSocket)),
            path("api/v1/ws/candles/<str:symbol>/<str:timeframe>", served_by(CandlesSocket)),
            path("api/v1/ws/test", served_by(TestSocket)),
            re_path("", served_by(UnknownSocket)),
        ]
    )
)
