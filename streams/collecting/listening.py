"""Hears from the channel layer what web processes want."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from channels.layers import get_channel_layer

from streams.market_messages import DEMAND_GROUP, Demand, decode_demand

logger = structlog.get_logger(__name__)

RETRY_S = 1.0


async def listen(take: Callable[[Demand], None]) -> None:
    """Be this collector's member of the group of demand, for ever."""
    while True:
        layer: Any = get_channel_layer()
        try:
            channel = await layer.new_channel()
            await layer.group_add(DEMAND_GROUP, channel)
            while True:
                message = await layer.receive(channel)
                heard(message, take)
        except Exception as error:
            # Whatever the layer's client raises. Web processes repeat what they want.
            logger.warning(f"the channel layer does not answer, what is wanted of market data is not known: {error}")
            await asyncio.sleep(RETRY_S)


def heard(message: dict[str, Any], take: Callable[[Demand], None]) -> None:
    try:
        demand = decode_demand(message["data"])
    except (KeyError, TypeError, msgspec.DecodeError, msgspec.ValidationError) as error:
        # Anything of the user's may send to a group.
        logger.warning(f"a demand that cannot be understood: {error}")
        return
    take(demand)
