"""Lua that runs inside Redis, so that reading, deciding and writing are one step. `generations` says what it means."""

from cachemgmt.generations import MAX_MINUTES

# A generation is forgotten when nobody has made an answer in its scope for so long; longer than any answer is kept.
GENERATION_S = 8 * 86400

# KEYS: epoch, clears, generation, lease.  ARGV: token, lease in ms.
# A new generation and epoch begin at the clock: never below what was handed out before the old one was evicted.
BEGIN = f"""
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local epoch = redis.call('GET', KEYS[1])
if not epoch then
    epoch = string.format('%.0f', now)
    redis.call('SET', KEYS[1], epoch)
end
local data = redis.call('GET', KEYS[3])
local generation = data and cmsgpack.unpack(data) or {{now, now}}
generation[2] = generation[2] + 1
redis.call('SET', KEYS[3], cmsgpack.pack(generation), 'EX', {GENERATION_S})
local held = redis.call('SET', KEYS[4], ARGV[1], 'NX', 'PX', ARGV[2]) or redis.call('GET', KEYS[4]) == ARGV[1]
return {{epoch, generation[2], redis.call('GET', KEYS[2]) or '0', held and 1 or 0}}
"""

# KEYS: clears, entry, lease.  ARGV: clears as they were, token, entry, ms to keep it.
SAVE = """
if (redis.call('GET', KEYS[1]) or '0') == ARGV[1] then
    redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
end
if redis.call('GET', KEYS[3]) == ARGV[2] then
    redis.call('DEL', KEYS[3])
end
"""

# KEYS: lease.  ARGV: token.
RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('DEL', KEYS[1])
end
"""

# KEYS: generation.  ARGV: minutes, or * for all. A scope that nobody asked about has nothing to outdate.
TOUCH = f"""
local data = redis.call('GET', KEYS[1])
if not data then return end
local generation = cmsgpack.unpack(data)
local floor, last = generation[1], generation[2] + 1
local counts, size = {{}}, 0
if ARGV[1] == '*' then
    floor = last
else
    for at = 3, #generation, 2 do counts[generation[at]] = generation[at + 1] end
    for at = 1, #ARGV do counts[tonumber(ARGV[at])] = last end
    for _ in pairs(counts) do size = size + 1 end
end
while size > {MAX_MINUTES} do
    floor = last
    for _, count in pairs(counts) do floor = math.min(floor, count) end
    for minute, count in pairs(counts) do
        if count <= floor then
            counts[minute] = nil
            size = size - 1
        end
    end
end
local changed = {{floor, last}}
for minute, count in pairs(counts) do
    changed[#changed + 1] = minute
    changed[#changed + 1] = count
end
redis.call('SET', KEYS[1], cmsgpack.pack(changed), 'EX', {GENERATION_S})
"""
