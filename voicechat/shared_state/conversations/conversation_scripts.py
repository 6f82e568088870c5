"""Conversation scripts in Lua: take-over, write, erasure of one record, and erasure of all records of a browser.

A conversation is a hash with sealed fields and three plain ones. `epoch`: ms of Redis' own clock at the take-over, or
one more than the epoch before; a replica with an older one is refused. `holder`: replica and number of its take-over.
`revision`: number of the newest write, so that a delayed one changes nothing.

The sorted set of a browser has its conversations by the time of their newest change, and `-` by that of the newest
erasure of all of them. A conversation that was taken over before that is refused: Redis may have been emptied, so that
the erasure did not find it.

In a full Redis (`noeviction`) a script may write after its first command that removes: erasures, and the take-over of a
stored conversation, begin with one. `WRITE` begins with a HSET, and is refused as a whole.

Each script returns a list. Its first element is the outcome, except for `FORGET_OWNER`.
"""

from __future__ import annotations

from enum import IntEnum

PLAIN_FIELDS = frozenset({b"epoch", b"holder", b"revision"})
"""Fields that are not sealed."""


class ScriptOutcome(IntEnum):
    """What a script did."""

    DONE = 1
    FENCED = -1
    """Another take-over is newer, or the browser was forgotten since. The second element is the holder, or empty."""
    LATE = -3
    """The replica may not wait for it any more, and another one may have taken over. The second element is the time."""
    BASE_MISSING = -2
    """The hash does not hold what the changes are based on: the record must be written whole."""


# Keys: conversation, channel, browser. Arguments: holder, name, age of the take-over in ms (0: now), most fields, ms in
# which a conversation without a record fences the holder before, latest time of Redis' clock in ms.
# Returns: 1, epoch before, epoch, holder before, fields and values, time of the browser's newest erasure or 0.
TAKE_OVER = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[6]) then return {-3, now} end
local claimed = now - ARGV[3]
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'holder')
local before, holder = tonumber(stored[1] or '0'), stored[2] or ''
local epoch = before
if holder ~= ARGV[1] then
  if ARGV[3] ~= '0' and before >= claimed then return {-1, holder} end
  local forgotten = tonumber(redis.call('ZSCORE', KEYS[3], '-') or '0')
  if ARGV[3] ~= '0' and forgotten > claimed then return {-1, ''} end
  epoch = math.max(before + 1, claimed, forgotten) -- also where Redis' clock was set back
  if before > 0 then redis.call('HDEL', KEYS[1], 'revision') end
  redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', epoch), 'holder', ARGV[1], 'revision', 0)
  if before == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[5]) end
  redis.call('ZADD', KEYS[3], now, ARGV[2])
  if redis.call('PTTL', KEYS[3]) < tonumber(ARGV[5]) then redis.call('PEXPIRE', KEYS[3], ARGV[5]) end
  redis.call('PUBLISH', KEYS[2], string.format('%s %.0f %s', ARGV[2], epoch, ARGV[1]))
end
local fields = {}
if redis.call('HLEN', KEYS[1]) <= tonumber(ARGV[4]) then fields = redis.call('HGETALL', KEYS[1]) end
return {1, before, epoch, holder, fields, redis.call('ZSCORE', KEYS[3], '-') or '0'}
"""

# Keys: conversation, browser. Arguments: holder, name, epoch, revision, revision that the changes are based on (-1: the
# record is whole), ms to keep, most conversations of a browser, common part of the keys, number of removed fields,
# removed fields, fields and values.
WRITE = """
local epoch, revision, base = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'holder', 'revision')
local stored_epoch, stored_revision = tonumber(stored[1] or '0'), tonumber(stored[3] or '-1')
if stored_epoch > epoch then return {-1, stored[2] or ''} end
local forgotten = tonumber(redis.call('ZSCORE', KEYS[2], '-') or '0')
if forgotten > epoch then return {-1, ''} end
if base >= 0 then
  if stored_epoch ~= epoch or stored_revision ~= base then return {-2} end
else
  if stored_epoch == epoch and stored_revision >= revision then return {-2} end
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[3])
if base < 0 then redis.call('DEL', KEYS[1]) end
local first = 10 + ARGV[9]
for i = 10, first - 1 do redis.call('HDEL', KEYS[1], ARGV[i]) end
for i = first, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[1], 'epoch', ARGV[3], 'holder', ARGV[1], 'revision', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[2], now, ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[6])
local names = redis.call('ZRANGE', KEYS[2], 0, -1)
local excess = #names - ARGV[7]
if redis.call('ZSCORE', KEYS[2], '-') then excess = excess - 1 end
for _, name in ipairs(names) do
  if excess > 0 and name ~= '-' then
    redis.call('DEL', ARGV[8] .. name)
    redis.call('ZREM', KEYS[2], name)
    excess = excess - 1
  end
end
redis.call('PEXPIRE', KEYS[2], ARGV[6])
return {1}
"""

# Keys: conversation, browser. Arguments: holder, name, epoch, revision, ms to keep what fences delayed writes.
ERASE = """
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'holder')
if tonumber(stored[1] or '0') > tonumber(ARGV[3]) then return {-1, stored[2] or ''} end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'epoch', ARGV[3], 'holder', ARGV[1], 'revision', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('ZREM', KEYS[2], ARGV[2])
return {1}
"""

# Keys: browser, channel. Arguments: holder, ms to keep what fences later writes, common part of the keys, names of
# conversations that this replica holds. Returns: name and new epoch of each erased conversation.
FORGET_OWNER = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local names, is_named, erased = redis.call('ZRANGE', KEYS[1], 0, -1), {['-'] = true}, {}
for i = 4, #ARGV do table.insert(names, ARGV[i]) end
for _, name in ipairs(names) do
  if not is_named[name] then
    is_named[name] = true
    local key = ARGV[3] .. name
    local epoch = math.max(tonumber(redis.call('HGET', key, 'epoch') or '0') + 1, now)
    local shown = string.format('%.0f', epoch)
    redis.call('DEL', key)
    redis.call('HSET', key, 'epoch', shown, 'holder', ARGV[1], 'revision', 0)
    redis.call('PEXPIRE', key, ARGV[2])
    redis.call('PUBLISH', KEYS[2], name .. ' ' .. shown .. ' ' .. ARGV[1])
    table.insert(erased, name)
    table.insert(erased, epoch)
  end
end
redis.call('DEL', KEYS[1])
redis.call('ZADD', KEYS[1], now, '-')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return erased
"""
