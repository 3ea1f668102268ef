-- Reads every window of KEYS[1] and, if the cost fits them all, counts it in all of them.
-- ARGV: cost, then (limit, length in ms) for each window.
-- Answers (used, ms left) for each window as they were before.
-- The hash has one field per window, named by its length: "<used>:<end in unix ms>".
local clock = redis.call('TIME') -- the server's clock: replicas need not agree on theirs
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local cost = tonumber(ARGV[1])
local before, writes = {}, {}
local fits, longest = cost > 0, 0
for i = 2, #ARGV, 2 do
  local limit, length = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  local used, left = 0, length
  local state = redis.call('HGET', KEYS[1], ARGV[i + 1])
  if state then
    local u, e = string.match(state, '^(%d+):(%d+)$')
    if u and tonumber(e) > now then
      used = tonumber(u)
      left = math.min(tonumber(e) - now, length) -- a clock set back must not lengthen a window
    end
  end
  if used + cost > limit then fits = false end
  longest = math.max(longest, left)
  before[#before + 1] = used
  before[#before + 1] = left
  writes[#writes + 1] = ARGV[i + 1]
  writes[#writes + 1] = string.format('%.0f:%.0f', used + cost, now + left)
end
if fits then
  redis.call('HSET', KEYS[1], unpack(writes))
  -- Another caller may hold a longer window under this key: never shorten its life.
  if redis.call('PTTL', KEYS[1]) < longest then
    redis.call('PEXPIRE', KEYS[1], string.format('%.0f', longest))
  end
end
return before
