"""Answers in Redis. Raises `redis.RedisError` and `OSError` as they come; `guarded` decides what that means."""

import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

import msgpack
import msgspec
import redis
from django.conf import settings
from django_redis import get_redis_connection
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random

from cachemgmt.generations import MAX_MINUTES, decode
from cachemgmt.keys import GLOB, glob_escape
from cachemgmt.stores import scripts
from cachemgmt.stores.base import LEASE_S, PAGE, Changes, Look, Page, Reading
from cachemgmt.types import Begun, Entry, EntryInfo, Figures, Key
from database.redis import CONNECTION_LOST, OwnConnections, place_of

ENTRY_DECODER = msgspec.msgpack.Decoder(Entry)
SCAN_COUNT = 1000
# A page of keys is looked for so long; of each entry so much is read, which is all but its body.
PAGE_SECONDS = 0.25
HEAD_BYTES = 2048
CURSOR = re.compile("[0-9]{1,20}")
LEARNED_KEPT = 1000
PROBE = Key("", "probe", "probe")
INFO_FIELDS = (
    "connected_clients",
    "used_memory",
    "used_memory_human",
    "keyspace_hits",
    "keyspace_misses",
    "total_commands_processed",
)

T = TypeVar("T")

retry_if_connection_lost = retry(
    retry=retry_if_exception_type(CONNECTION_LOST),
    stop=stop_after_attempt(2),
    wait=wait_random(0, 0.01),
    reraise=True,
)


class RedisStore:
    """One deployment's answers; several may share a server, each under a ``prefix`` of its own."""

    # Any: the annotations of redis-py describe its synchronous and its asynchronous client in one.
    def __init__(self, client: Any, prefix: str) -> None:
        self.client, self.prefix = client, prefix
        self.ask = OwnConnections(client).ask
        self.epoch, self.clears, self.popular = f"{prefix}:epoch", f"{prefix}:clears", f"{prefix}:learned"
        self.script_begin = client.register_script(scripts.BEGIN)
        self.script_save = client.register_script(scripts.SAVE)
        self.script_release = client.register_script(scripts.RELEASE)
        self.script_touch = client.register_script(scripts.TOUCH)

    @classmethod
    def from_settings(cls) -> Self:
        return cls(get_redis_connection("default"), settings.CACHE_KEY_PREFIX)

    @property
    def name(self) -> str:
        return place_of(self.client)

    def entry_key(self, key: Key) -> str:
        return f"{self.prefix}:e:{key.text}"

    def generation_key(self, scope: str) -> str:
        return f"{self.prefix}:g:{scope}"

    def lease_key(self, key: Key) -> str:
        return f"{self.prefix}:l:{key.text}"

    def read(self, key: Key) -> Reading:
        epoch, generation, entry = self.ask("MGET", self.epoch, self.generation_key(key.scope), self.entry_key(key))
        try:
            return Reading(
                ENTRY_DECODER.decode(entry) if entry else None,
                decode(generation) if generation else None,
                int(epoch) if epoch else None,
            )
        except (msgspec.MsgspecError, ValueError):
            # Another version of liqui has written it: as good as nothing, until it is written anew.
            return Reading(None, None, None)

    def begin(self, key: Key) -> Begun:
        # One token for both attempts: the first may have taken the lease and lost the answer alone.
        return self.begin_as(secrets.token_hex(8), key)

    @retry_if_connection_lost
    def begin_as(self, token: str, key: Key) -> Begun:
        epoch, stamp, clears, held = self.script_begin(
            keys=[self.epoch, self.clears, self.generation_key(key.scope), self.lease_key(key)],
            args=[token, int(LEASE_S * 1000)],
        )
        return Begun(int(epoch), stamp, int(clears), token if held else None)

    @retry_if_connection_lost
    def save(self, key: Key, entry: Entry, keep_s: float, begun: Begun) -> None:
        self.script_save(
            keys=[self.clears, self.entry_key(key), self.lease_key(key)],
            args=[begun.clears, begun.lease or "", msgspec.msgpack.encode(entry), int(keep_s * 1000)],
        )

    @retry_if_connection_lost
    def release(self, key: Key, begun: Begun) -> None:
        if begun.lease:
            self.script_release(keys=[self.lease_key(key)], args=[begun.lease])

    @retry_if_connection_lost
    def touch(self, changes: Changes) -> None:
        pipeline = self.client.pipeline(transaction=False)
        for scope, minutes in changes.items():
            everything = minutes is None or len(minutes) > MAX_MINUTES
            self.script_touch(
                keys=[self.generation_key(scope)], args=["*"] if everything else sorted(minutes or ()), client=pipeline
            )
        try:
            pipeline.execute()
        except redis.OutOfMemoryError:
            # Removing is allowed even then, and answers without a generation are not used.
            self.client.unlink(*map(self.generation_key, changes))

    @retry_if_connection_lost
    def renew(self) -> None:
        self.client.unlink(self.epoch)

    def clear(self, pattern: str) -> int:
        # First, so that an answer that is being made is not kept after we have looked.
        try:
            self.client.incr(self.clears)
        except redis.OutOfMemoryError:
            self.renew()
        return sum(self.client.unlink(*keys) for keys in self.scan(pattern))

    def scan(self, pattern: str) -> Iterator[list[bytes]]:
        """The entries' keys, in batches; SCAN may name one twice, and UNLINK counts it once."""
        cursor = 0
        while True:
            cursor, keys = self.scan_step(cursor, pattern, SCAN_COUNT)
            if keys:
                yield keys
            if cursor == 0:
                return

    def scan_step(self, cursor: int, pattern: str, count: int) -> tuple[int, list[bytes]]:
        if not GLOB.search(pattern):
            return 0, [f"{self.prefix}:e:{pattern}".encode()]
        return self.client.scan(cursor, match=f"{glob_escape(self.prefix)}:e:{pattern}", count=count)

    def page(self, pattern: str, cursor: str = "") -> Page:
        at, count, names = number_of(cursor), PAGE, dict[bytes, None]()
        give_up_at = time.monotonic() + PAGE_SECONDS
        while True:
            at, found = self.scan_step(at, pattern, count)
            names |= dict.fromkeys(found)
            if at == 0 or len(names) >= PAGE or time.monotonic() > give_up_at:
                return Page(self.looks(list(names)), str(at) if at else "")
            if not found:
                count = min(2 * count, SCAN_COUNT)

    def looks(self, names: Sequence[bytes]) -> list[Look]:
        """Those that are still there."""
        pipeline = self.client.pipeline(transaction=False)
        for name in names:
            pipeline.strlen(name).pttl(name).getrange(name, 0, HEAD_BYTES - 1)
        answers = pipeline.execute()
        heads = [readable(decode_head, head) for head in answers[2::3]]
        scopes = list({head.scope for head in heads if head})
        epoch, *found = self.client.mget(self.epoch, *map(self.generation_key, scopes))
        generations = {scope: readable(decode, data) for scope, data in zip(scopes, found, strict=True)}
        skip = len(self.prefix) + 3
        return [
            Look(
                EntryInfo(name.decode()[skip:], size, ttl_ms / 1000),
                Reading(head, generations[head.scope] if head else None, readable(int, epoch)),
            )
            for name, size, ttl_ms, head in zip(names, answers[::3], answers[1::3], heads, strict=True)
            if ttl_ms > 0
        ]

    def entries(self, pattern: str) -> Iterator[EntryInfo]:
        seen: set[bytes] = set()
        skip = len(self.prefix) + 3
        for keys in self.scan(pattern):
            keys = [key for key in keys if key not in seen]
            seen.update(keys)
            pipeline = self.client.pipeline(transaction=False)
            for key in keys:
                pipeline.strlen(key).pttl(key)
            answers = pipeline.execute()
            for key, size, ttl_ms in zip(keys, answers[::2], answers[1::2], strict=True):
                if ttl_ms > 0:
                    yield EntryInfo(key.decode()[skip:], size, ttl_ms / 1000)

    def learn(self, requests: Mapping[str, int]) -> None:
        today = self.popular_on(time.time())
        pipeline = self.client.pipeline(transaction=False)
        for request, count in requests.items():
            pipeline.zincrby(today, count, request)
        pipeline.zremrangebyrank(today, 0, -LEARNED_KEPT - 1).expire(today, 2 * 86400)
        pipeline.execute()

    def learned(self, count: int) -> list[tuple[str, int]]:
        now = time.time()
        pipeline = self.client.pipeline(transaction=False)
        for day in (now, now - 86400):
            pipeline.zrevrange(self.popular_on(day), 0, -1, withscores=True)
        # Added up here and not by ZUNION, which servers before 6.2 do not know.
        counts: Counter[str] = Counter()
        for learned in pipeline.execute():
            counts.update({request.decode(): int(score) for request, score in learned})
        return counts.most_common(count)

    def popular_on(self, time_s: float) -> str:
        return f"{self.popular}:{int(time_s // 86400)}"

    def once(self, name: str, seconds: float) -> bool:
        return bool(self.client.set(f"{self.prefix}:once:{name}", 1, nx=True, px=int(seconds * 1000)))

    def note(self, name: str, value: bytes | None = None, seconds: float = 86400) -> bytes | None:
        key = f"{self.prefix}:note:{name}"
        if value is None:
            return self.client.get(key)
        self.client.set(key, value, px=int(seconds * 1000))
        return value

    def figures(self) -> Figures:
        info = self.client.info()
        hits, misses = info["keyspace_hits"], info["keyspace_misses"]
        rate = round(100 * hits / (hits + misses), 2) if hits + misses else 0
        return {"available": True} | {name: info[name] for name in INFO_FIELDS} | {"hit_rate": rate}

    def probe(self) -> None:
        """What real work does: a server that is full, or a replica, answers reads and refuses writes."""
        begun = self.begin(PROBE)
        self.release(PROBE, begun)
        self.read(PROBE)


def number_of(cursor: str) -> int:
    # Redis refuses what is no cursor, which must not be taken for trouble.
    return int(cursor) if CURSOR.fullmatch(cursor) and int(cursor) < 1 << 64 else 0


def decode_head(data: bytes) -> Entry:
    """An entry, without its body, from its first bytes."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(data)
    unpacker.read_array_header()
    values = [unpacker.unpack() for _ in range(len(Entry.__struct_fields__) - 1)]
    return msgspec.convert([*values, b""], Entry)


def readable(decoder: Callable[[bytes], T], data: bytes | None) -> T | None:
    """The decoded data, or None if there are none or another version of liqui has written them."""
    try:
        return decoder(data) if data else None
    except (msgspec.MsgspecError, msgpack.UnpackException, ValueError):
        return None
