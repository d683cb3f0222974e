/**
 * The Lua scripts that keep the histories of topics in Redis. A script runs as one step, so no other command sees half
 * of an append. They use what Redis 6.2 has.
 *
 * A history is one stream. The id of an entry is the offset of its message and the time of the append, as
 * `<offset>-<milliseconds>`: an offset is found directly, and the age is seen without another field. The name of the
 * only field of an entry is the epoch, and its value is the message: Redis keeps the name once for many entries.
 *
 * An epoch is `<life of the server>-<milliseconds of its beginning>-<random>`. A server that has died may come back
 * with an older state of the stream, and would give offsets a second time. So a history belongs to one life of the
 * server, and what is left of another life counts as no history. A life ends with the process (`run_id`), and with the
 * time in which the server is a replica, or a master (`master_replid`): it takes the data of another server then. The
 * scripts ask for the life themselves, since a proxy may change the server behind a connection without notice.
 */

/**
 * What both scripts need. `ARGV` begins with the life of the server if it never ends, the limits, and the milliseconds
 * for which Redis keeps a history after its last message. Offsets are returned as texts: node-redis reads large numbers
 * wrong by one.
 */
const COMMON = `
local key = KEYS[1]
local life, maxAge, size = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function text(number)
  return string.format('%.0f', number)
end

local function info(section, name)
  return string.match(redis.call('INFO', section), name .. ':(%w+)') or ''
end

if life == '' then
  local server = info('server', 'run_id') .. info('replication', 'master_replid')
  if server == '' then
    return redis.error_reply('ERR INFO has neither run_id nor master_replid')
  end
  life = string.sub(redis.sha1hex(server), 1, 12)
end

local function entry(command, from, to)
  local found = redis.call(command, key, from, to, 'COUNT', 1)[1]
  if not found then return end
  local offset, at = string.match(found[1], '(%d+)%-(%d+)')
  return { offset = tonumber(offset), at = tonumber(at), epoch = found[2][1] }
end

-- An entry from the future is as old as one from the past: it was added before the clock was set back.
local function isExpired(one)
  return math.abs(now - one.at) >= maxAge
end

local last = entry('XREVRANGE', '+', '-')
if last and string.sub(last.epoch, 1, #life + 1) ~= life .. '-' then last = nil end

-- The offset behind the last entry that has expired. The steps grow from the oldest entry on, since few have expired
-- in most cases.
local function oldestKept(newest)
  local first = entry('XRANGE', '-', '+')
  if not isExpired(first) then return first.offset end
  local expired, kept, step = first.offset, newest + 1, 1
  while kept - expired > 1 do
    local probe = math.min(expired + step, math.floor((expired + kept) / 2))
    if isExpired(entry('XRANGE', text(probe), '+')) then expired = probe else kept = probe end
    step = step * 2
  end
  return kept
end
`;

/**
 * Adds messages, publishes them, and removes what is not kept any more, except for the last entry, which has the epoch
 * and the offset. `ARGV` goes on with a random text, the channel and the messages.
 */
export const APPEND: string = compact(`${COMMON}
local newest, epoch = 0, life .. '-' .. text(now) .. '-' .. ARGV[5]
if last then
  newest, epoch = last.offset, last.epoch
elseif redis.call('EXISTS', key) == 1 then
  -- The first command that writes has to be XADD where there is nothing to remove: a server whose memory is full refuses
  -- XADD only then.
  redis.call('UNLINK', key)
end
local before = newest
for i = 7, #ARGV do
  newest = newest + 1
  redis.call('XADD', key, text(newest) .. '-' .. text(now), epoch, ARGV[i])
end
local oldest = math.min(newest, math.max(newest - size + 1, oldestKept(newest)))
redis.call('XTRIM', key, 'MINID', text(oldest))
redis.call('PEXPIRE', key, ARGV[4])
for i = 7, #ARGV do
  redis.call('PUBLISH', ARGV[6], epoch .. ':' .. text(before + (i - 6)) .. ':' .. ARGV[i])
end
return { epoch, text(newest) }
`);

/**
 * Reads, and changes nothing. `ARGV` goes on with the epoch and the offset of the position, the most messages and the
 * most bytes. An empty epoch stands for no position.
 *
 * A topic without a history has the epoch `none-<life>-<milliseconds>-<evicted keys>`. It is the place before the first
 * message of a history that has begun later in the same life, unless another history may have come and gone in between:
 * that takes the time for which Redis keeps a history, or an eviction.
 */
export const READ: string = compact(`${COMMON}
local after, maxMessages, maxBytes = ARGV[5], tonumber(ARGV[7]), tonumber(ARGV[8])
local epoch, oldest, newest
if last then
  epoch, newest = last.epoch, last.offset
  oldest = math.max(newest - size + 1, oldestKept(newest))
else
  epoch, oldest, newest = 'none-' .. life .. '-' .. text(now) .. '-' .. info('stats', 'evicted_keys'), 1, 0
end

local offset, isComplete = oldest - 1, true
if after ~= '' then
  offset, isComplete = tonumber(ARGV[6]), after == epoch
  local noneLife, noneAt, evicted = string.match(after, '^none%-(%w+)%-(%d+)%-(%w*)$')
  if noneLife == life and offset == 0 and evicted == info('stats', 'evicted_keys') then
    local begun = last and tonumber(string.match(epoch, '%-(%d+)%-')) or now
    local passed = begun - tonumber(noneAt)
    isComplete = passed >= 0 and passed < tonumber(ARGV[4])
  end
  isComplete = isComplete and offset >= oldest - 1 and offset <= newest
end

-- More entries are read at once when the first ones were small, so that no more bytes are touched than are wanted.
local messages, bytes, step = {}, 0, 1
local wanted = isComplete and math.min(maxMessages, newest - offset) or 0
while #messages < wanted do
  local from = text(offset + #messages + 1)
  for _, one in ipairs(redis.call('XRANGE', key, from, '+', 'COUNT', math.min(step, wanted - #messages))) do
    local message = one[2][2]
    if tonumber(string.match(one[1], '%d+')) ~= offset + #messages + 1 then
      -- Somebody else has deleted an entry.
      messages, wanted, isComplete = {}, 0, false
      break
    end
    if #messages > 0 and bytes + #message > maxBytes then
      wanted = 0
      break
    end
    bytes = bytes + #message
    messages[#messages + 1] = message
  end
  step = math.min(16, 2 * step, math.max(1, math.floor((maxBytes - bytes) * #messages / math.max(1, bytes))))
end
return { epoch, text(oldest), text(newest), isComplete and 1 or 0, messages }
`);

/** Leaves out indents and comments, since the text of a script is sent with each call. */
function compact(script: string): string {
  const lines = script.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "" && !line.startsWith("--")).join("\n");
}
