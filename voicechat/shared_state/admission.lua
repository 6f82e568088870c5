-- Admission over Redis: one step of one replica, by the rules of `voicechat/limits/waiting_queue.py`. It is atomic.
--
-- KEYS: entries (hash, id -> JSON), replicas (sorted set, id -> end of its lease in ms), meta (hash: seq, last, settle, and
-- the sums of all entries), index (sorted set of words, see below). Without an exchange they end after `keep_ms`.
-- ARGV: the request as JSON, the channel of changes. Returns the replica's own entries and the sums as JSON.
--
-- An entry has one of the states in `AdmissionState`, or "held": the page of a queued visitor moves to another replica.
-- The leases say which replicas are alive: the spending of the day divides by their number too.
-- Settling: for a while after Redis was empty or not asked, replicas come back one by one. Leases do not expire then, and
-- each replica admits its share only, beside what it knows of the others. Those it knew before count as alive.
local request, channel = cjson.decode(ARGV[1]), ARGV[2]
local me, limits, now = request.replica, request.limits, request.now
local own_offline = request.own_offline -- each replica has an embedded server of its own: their sessions are not shared
if now < 0 then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local meta = redis.call('HMGET', KEYS[3], 'seq', 'last', 'settle', 'indexed', 'queued', 'call', 'chat', 'program', 'offline')
local seq, last, settle = tonumber(meta[1] or 0), tonumber(meta[2] or 0), tonumber(meta[3] or 0)
if last == 0 then seq = request.seq + 1000 end -- empty: those who come back with their numbers are before newcomers
if now - last > request.quiet_ms then settle = now + request.settle_ms end
local settling = now < settle

-- Sizes of what the sums and the index are of. Other ones: an older version of this script wrote, or a key was evicted.
local function contents(time)
  return table.concat({time, redis.call('HLEN', KEYS[1]), redis.call('ZCARD', KEYS[2]), redis.call('ZCARD', KEYS[4])}, ' ')
end
local is_indexed = meta[4] == contents(meta[2] or '')

-- Leases ---------------------------------------------------------------------------------------------------------------

local lease = redis.call('ZSCORE', KEYS[2], me)
local is_known = lease and (settling or tonumber(lease) >= now)
if not is_known and not request.has_beat then return cjson.encode({known = false}) end
local ended = {}
if not settling then
  local before_now = '(' .. string.format('%.0f', now)
  ended = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', before_now)
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', before_now)
end
redis.call('ZREM', KEYS[2], me) -- a script that has removed something may write in a full Redis: all this is small
redis.call('ZADD', KEYS[2], string.format('%.0f', now + request.lease_ms), me)
local replicas = redis.call('ZCARD', KEYS[2])
if settling then replicas = math.max(replicas, request.replicas) end

-- Entries and sums -----------------------------------------------------------------------------------------------------

-- An exchange reads the entries that it may change or must report: its own, the queue, those of ended leases, and of the
-- visitors and pages that enter. So its work does not grow with the calls of other replicas. All others count by the sums
-- in meta. An index leads to the entries; its members are "q ID", "r REPLICA ID", "v VISITOR ID" and "p KIND RESUME ID".
local names_of_sums = {'call', 'chat', 'program', 'offline'}
local order, by_id, links, before, queued = {}, {}, {}, {}, 0
local taken = {call = 0, chat = 0, program = 0, offline = 0}
local mine = {call = 0, chat = 0, program = 0, offline = 0}

local function is_queued(entry) return entry.state == 'queued' or entry.state == 'held' end

local function add_to(sums, entry, by)
  if entry.state == 'admitted' then sums[entry.kind] = sums[entry.kind] + by end
  if entry.offline and not is_queued(entry) then sums.offline = sums.offline + by end
end

local function count(entry, by)
  if is_queued(entry) then queued = queued + by end
  add_to(taken, entry, by)
  if entry.replica == me then add_to(mine, entry, by) end
end

local function links_of(entry)
  local names = {}
  if is_queued(entry) then names[1] = 'q ' .. entry.id end
  if entry.replica ~= '' then names[#names + 1] = 'r ' .. entry.replica .. ' ' .. entry.id end
  if entry.visitor ~= '' then names[#names + 1] = 'v ' .. entry.visitor .. ' ' .. entry.id end
  if entry.resume ~= '' then names[#names + 1] = 'p ' .. entry.kind .. ' ' .. entry.resume .. ' ' .. entry.id end
  return names
end

local function set_links(id, names)
  local old = links[id] or {}
  links[id] = names
  if table.concat(old, '\n') == table.concat(names, '\n') then return end
  if #old > 0 then redis.call('ZREM', KEYS[4], unpack(old)) end
  for _, name in ipairs(names) do redis.call('ZADD', KEYS[4], 0, name) end
end

local is_sorted = false
local function sort()
  if not is_sorted then table.sort(order, function(a, b) return a.seq < b.seq end) end
  is_sorted = true
end

local function save(entry, state, offline)
  if by_id[entry.id] then count(entry, -1) else order[#order + 1], is_sorted = entry, false end
  entry.op, entry.state, entry.offline, by_id[entry.id] = nil, state, offline, entry
  count(entry, 1)
  redis.call('HSET', KEYS[1], entry.id, cjson.encode(entry))
  set_links(entry.id, links_of(entry))
end

local function drop(entry)
  count(entry, -1)
  by_id[entry.id] = nil
  entry.state, entry.offline = 'released', false
  redis.call('HDEL', KEYS[1], entry.id)
  set_links(entry.id, {})
end

local function number_queue()
  local numbers, ahead, offline_ahead, offline = {}, {}, {}, 0
  sort()
  for _, entry in ipairs(order) do
    local kind = entry.kind
    if is_queued(entry) then
      numbers[entry.id] = 1 + (ahead[kind] or 0) + (entry.offline and offline - (offline_ahead[kind] or 0) or 0)
      ahead[kind] = (ahead[kind] or 0) + 1
      if entry.offline then offline, offline_ahead[kind] = offline + 1, (offline_ahead[kind] or 0) + 1 end
    end
  end
  return numbers
end

local function read(stored)
  local entry = cjson.decode(stored)
  order[#order + 1], by_id[entry.id], is_sorted = entry, entry, false
  before[entry.id] = {entry.replica, entry.state}
  return entry
end

local function read_linked(...) -- these entries count already
  local prefix = table.concat({...}, ' ')
  for _, name in ipairs(redis.call('ZRANGEBYLEX', KEYS[4], '[' .. prefix .. ' ', '(' .. prefix .. '!')) do
    local id = string.sub(name, #prefix + 2)
    if not by_id[id] then
      local entry = read(redis.call('HGET', KEYS[1], id))
      links[id] = links_of(entry)
      if entry.replica == me then add_to(mine, entry, 1) end
    end
  end
end

local function read_all()
  redis.call('DEL', KEYS[4])
  local stored = redis.call('HGETALL', KEYS[1])
  for i = 2, #stored, 2 do
    local entry = read(stored[i])
    count(entry, 1)
    set_links(entry.id, links_of(entry))
  end
end

if is_indexed then
  queued = tonumber(meta[5])
  for i, name in ipairs(names_of_sums) do taken[name] = tonumber(meta[5 + i]) end
  read_linked('q')
  read_linked('r', me)
  for _, replica in ipairs(ended) do read_linked('r', replica) end
else
  read_all()
end
local numbers_before = number_queue()

-- Rules ----------------------------------------------------------------------------------------------------------------

local reserved = {call = 0, chat = 0, program = 0, offline = 0} -- while settling: for others' tickets that are before
local function has_room(name)
  if own_offline and name == 'offline' then return mine.offline < limits.offline end
  if taken[name] + reserved[name] >= limits[name] then return false end
  if not settling then return true end
  return mine[name] + (request.others[name] or 0) < limits[name] and mine[name] < math.ceil(limits[name] / replicas)
end

local function fits(entry)
  if entry.replica ~= me and (settling or (own_offline and entry.offline)) then return false end
  return has_room(entry.kind) and (not entry.offline or has_room('offline'))
end

local function reserve(entry)
  local shares_offline = entry.offline and not own_offline
  local is_blocked = taken[entry.kind] >= limits[entry.kind] or (shares_offline and taken.offline >= limits.offline)
  if not is_blocked then
    reserved[entry.kind] = reserved[entry.kind] + 1
    if shares_offline then reserved.offline = reserved.offline + 1 end
  end
end

local function admit()
  sort()
  for name in pairs(reserved) do reserved[name] = 0 end
  for _, entry in ipairs(order) do
    if entry.state == 'queued' and fits(entry) then
      save(entry, 'admitted', entry.offline)
    elseif entry.state == 'queued' and settling and entry.replica ~= me then
      reserve(entry)
    end
  end
end

local function is_same_page(entry, other)
  return other.resume ~= '' and entry.resume == other.resume and entry.kind == other.kind and entry.id ~= other.id
    and (is_queued(entry) or entry.state == 'admitted')
end

local function count_of_visitor(visitor, is_counted)
  local sum = 0
  for _, entry in ipairs(order) do
    if entry.visitor == visitor and entry.visitor ~= '' and is_counted(entry) then sum = sum + 1 end
  end
  return sum
end

local function refusal(entry)
  local most = limits.visitor > 0 and limits.visitor or math.huge
  local function is_call(other) return other.kind == 'call' and (is_queued(other) or other.state == 'admitted') end
  if entry.kind == 'call' and count_of_visitor(entry.visitor, is_call) >= most then return 'visitor' end
  if fits(entry) then return nil end
  if entry.kind == 'program' or queued >= limits.queue then return 'busy' end
  return count_of_visitor(entry.visitor, is_queued) >= most and 'visitor' or nil
end

local function add(entry, state)
  if not entry.seq or entry.seq == 0 then seq = seq + 1 entry.seq = seq end
  seq = math.max(seq, entry.seq)
  entry.replica = me
  save(entry, state, entry.offline)
end

-- Operations -----------------------------------------------------------------------------------------------------------

local refused, run = {}, {}

function run.enter(entry)
  if by_id[entry.id] then return run.switch(entry) end -- repeated: the answer to the first one was lost
  if entry.resume ~= '' then read_linked('p', entry.kind, entry.resume) end
  if entry.visitor ~= '' and limits.visitor > 0 then read_linked('v', entry.visitor) end
  for _, older in ipairs(order) do
    if is_same_page(older, entry) then
      entry.seq = older.seq
      drop(older)
    end
  end
  entry.replica = me
  refused[entry.id] = refusal(entry)
  if not refused[entry.id] then add(entry, fits(entry) and 'admitted' or 'queued') end
end

function run.leave(asked)
  if by_id[asked.id] then drop(by_id[asked.id]) end
end

function run.releasing(asked)
  local entry = by_id[asked.id]
  if entry and entry.state == 'admitted' then save(entry, 'releasing', entry.offline) end
end

function run.switch(asked)
  local entry = by_id[asked.id]
  local may = entry and (is_queued(entry) or (entry.state == 'admitted' and (not asked.offline or has_room('offline'))))
  if may then save(entry, entry.state, asked.offline) end
end

function run.hold(asked)
  local entry = by_id[asked.id]
  if not entry then return end
  count(entry, -1)
  entry.state, entry.offline, entry.replica, entry.hold_until = 'held', entry.offline, '', now + request.hold_ms
  count(entry, 1)
  save(entry, 'held', entry.offline)
end

function run.beat(asked) -- these are all entries of this replica; it has decided alone what Redis does not know
  local listed = {}
  for _, entry in ipairs(asked.entries) do listed[entry.id] = true end
  for _, id in ipairs(asked.pending) do listed[id] = true end -- asked before: its answer may have been lost
  for _, entry in ipairs(order) do
    if entry.replica == me and by_id[entry.id] and not listed[entry.id] then drop(entry) end
  end
  for _, entry in ipairs(asked.entries) do
    local known, is_replaced = by_id[entry.id], false
    if not known and entry.resume ~= '' then read_linked('p', entry.kind, entry.resume) end
    for _, other in ipairs(known and {} or order) do is_replaced = is_replaced or is_same_page(other, entry) end
    entry.replica = me
    if known and entry.state ~= 'queued' then
      save(known, entry.state, entry.offline)
    elseif known then
      if known.state ~= 'queued' then entry.offline = known.offline end -- decided by Redis
      save(known, known.state, entry.offline)
    elseif not is_replaced then
      local is_free = not entry.offline or has_room('offline')
      if entry.state == 'admitted' then is_free = fits(entry) end
      if entry.state == 'queued' or is_known or settling or is_free then add(entry, entry.state) end
    end
  end
end

local alive = {}
for _, entry in ipairs(order) do
  local id = entry.replica
  if alive[id] == nil then alive[id] = redis.call('ZSCORE', KEYS[2], id) ~= false end
  local is_dead = not alive[id]
  if entry.state == 'held' then is_dead = entry.hold_until < now end
  if is_dead then drop(entry) end
end
admit()
for _, operation in ipairs(request.operations) do
  run[operation.op](operation)
  if operation.op ~= 'enter' then admit() end
end
if request.is_leaving then
  for _, entry in ipairs(order) do
    if entry.replica == me and by_id[entry.id] then drop(entry) end
  end
  redis.call('ZREM', KEYS[2], me)
  admit()
end

-- Answer ---------------------------------------------------------------------------------------------------------------

local last_now = string.format('%.0f', now)
redis.call(
  'HSET', KEYS[3], 'seq', string.format('%.0f', seq), 'last', last_now, 'settle', string.format('%.0f', settle),
  'indexed', contents(last_now), 'queued', queued,
  'call', taken.call, 'chat', taken.chat, 'program', taken.program, 'offline', taken.offline
)
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, request.keep_ms) end
if own_offline then taken.offline = mine.offline end
local numbers, own, others, affected, names = number_queue(), {}, {}, {}, {}
for id, was in pairs(before) do
  local state = by_id[id] and by_id[id].state or 'released'
  if was[1] ~= me and was[1] ~= '' and (was[2] ~= state or numbers[id] ~= numbers_before[id]) then affected[was[1]] = true end
end
for id in pairs(affected) do names[#names + 1] = id end
if #names > 0 then redis.call('PUBLISH', channel, table.concat(names, ' ')) end
for _, entry in ipairs(order) do
  if entry.replica == me and by_id[entry.id] then
    own[entry.id] = {entry.state, numbers[entry.id] or 0, entry.offline, entry.seq}
  end
end
for name, sum in pairs(taken) do others[name] = sum - mine[name] end
return cjson.encode({
  known = true, own = own, refused = refused, taken = taken, others = others, queued = queued, replicas = replicas,
  settling = settling, seq = seq,
})
