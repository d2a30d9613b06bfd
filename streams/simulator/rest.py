"""The part of ``/fapi`` that a collector needs, with Binance's weights and refusals."""

import time
from typing import Any, NamedTuple

from streams.simulator.contracts import exchange_info
from streams.simulator.exchange import Exchange

PATHS = {"/fapi/v1/ping": 1, "/fapi/v1/time": 1, "/fapi/v1/exchangeInfo": 1}  # and the weight of each
FORBIDDEN = (
    "Service unavailable from a restricted location according to 'b. Eligibility' in "
    "https://www.binance.com/en/terms. Please contact customer service if you believe you received this message "
    "in error."
)


class Answer(NamedTuple):
    """An answer of HTTP; the body will be JSON."""

    status: int
    body: Any
    headers: dict[str, str] = {}


def rest_answer(exchange: Exchange, method: str, path: str, client: str) -> Answer:
    """What ``client``, an IP address, gets for a request under /fapi."""
    fault = exchange.rest_fault
    if (status := fault.current) is not None:
        return refusal(status, client, exchange, round(fault.seconds_left) or 1)
    verdict = exchange.weights.take(client, PATHS.get(path, 1), time.time())
    if verdict.status != 200:
        answer = refusal(verdict.status, client, exchange, verdict.retry_after_s)
    elif method != "GET" or path not in PATHS:
        answer = Answer(404, {"code": -5000, "msg": f"Path {path}, Method {method} is invalid"})
    else:
        answer = Answer(200, body(exchange, path))
    return answer._replace(headers={**answer.headers, "X-MBX-USED-WEIGHT-1M": str(verdict.used_weight)})


def body(exchange: Exchange, path: str) -> dict[str, Any]:
    now_ms = exchange.clock.now_ms()
    if path.endswith("/ping"):
        return {}
    if path.endswith("/time"):
        return {"serverTime": now_ms}
    return exchange_info(exchange.contracts, now_ms, exchange.limits.weight_per_minute)


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
