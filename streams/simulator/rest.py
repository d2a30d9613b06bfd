"""REST as far as a collector needs it, with Binance's weights and refusals: `ENDPOINTS` says which paths there are."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from streams.simulator.contracts import exchange_info
from streams.simulator.exchange import Exchange
from streams.simulator.market_rest import MARKET_ENDPOINTS
from streams.simulator.parameters import Query
from streams.simulator.subscriptions import Refused

FORBIDDEN = (
    "Service unavailable from a restricted location according to 'b. Eligibility' in "
    "https://www.binance.com/en/terms. Please contact customer service if you believe you received this message "
    "in error."
)


class Request(NamedTuple):
    """``client`` is its IP address."""

    method: str
    path: str
    query: Query
    client: str


class Answer(NamedTuple):
    """An answer of HTTP; the body will be JSON."""

    status: int
    body: Any
    headers: dict[str, str] = {}


async def ping(exchange: Exchange, query: Query) -> Any:
    return {}


async def server_time(exchange: Exchange, query: Query) -> Any:
    return {"serverTime": exchange.now_ms()}


async def info(exchange: Exchange, query: Query) -> Any:
    return exchange_info(exchange.contracts, exchange.now_ms(), exchange.limits.weight_per_minute)


def light(query: Query) -> int:
    return 1


Endpoint = tuple[Callable[[Query], int], Callable[[Exchange, Query], Awaitable[Any]]]  # its weight, and its body
ENDPOINTS: Mapping[str, Endpoint] = {
    "/fapi/v1/ping": (light, ping),
    "/fapi/v1/time": (light, server_time),
    "/fapi/v1/exchangeInfo": (light, info),
}


async def rest_answer(exchange: Exchange, request: Request) -> Answer:
    """What a client gets for a request under /fapi."""
    exchange.requests[request.path] += 1
    for fault in (exchange.rest_fault, exchange.path_faults.get(request.path)):
        if fault is not None and (status := fault.current) is not None:
            return refusal(status, request.client, exchange, round(fault.seconds_left) or 1)
    endpoint = endpoint_of(exchange, request)
    weight = endpoint[0](request.query) if endpoint else 1
    verdict = exchange.weights.take(request.client, weight, time.time())
    if verdict.status != 200:
        answer = refusal(verdict.status, request.client, exchange, verdict.retry_after_s)
    elif endpoint is None:
        answer = Answer(404, {"code": -5000, "msg": f"Path {request.path}, Method {request.method} is invalid"})
    else:
        answer = await endpoint_answer(exchange, endpoint, request.query)
    return answer._replace(headers={**answer.headers, "X-MBX-USED-WEIGHT-1M": str(verdict.used_weight)})


def endpoint_of(exchange: Exchange, request: Request) -> Endpoint | None:
    """A replay has no market of its own to ask about."""
    if request.method != "GET":
        return None
    market_endpoint = MARKET_ENDPOINTS.get(request.path) if exchange.listings else None
    return market_endpoint or ENDPOINTS.get(request.path)


async def endpoint_answer(exchange: Exchange, endpoint: Endpoint, query: Query) -> Answer:
    try:
        return Answer(200, await endpoint[1](exchange, query))
    except Refused as refused:
        return Answer(400, {"code": refused.code, "msg": refused.message})


def refusal(status: int, client: str, exchange: Exchange, retry_after_s: int) -> Answer:
    """What Binance says with this status; only the refusals that end by themselves say when."""
    limit = exchange.limits.weight_per_minute
    bodies = {
        418: {
            "code": -1003,
            "msg": f"Way too many requests; IP({client}) banned until {int((time.time() + retry_after_s) * 1000)}. "
            "Please use the websocket for live updates to avoid bans.",
        },
        429: {
            "code": -1003,
            "msg": f"Too many requests; current limit of IP({client}) is {limit} requests per minute. "
            "Please use the websocket for live updates to avoid polling the API.",
        },
        451: {"code": 0, "msg": FORBIDDEN},
    }
    headers = {"Retry-After": str(retry_after_s)} if status in (418, 429) else {}
    return Answer(status, bodies.get(status, {"code": -1008, "msg": "Service unavailable, try again later."}), headers)
