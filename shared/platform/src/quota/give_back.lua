-- Takes the cost off every window of KEYS[1] that is still open, down to 0. The fields and their expiry are those of
-- take.lua; neither an end nor the life of the hash changes.
-- ARGV: cost, then the length in ms of each window.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local cost = tonumber(ARGV[1])
for i = 2, #ARGV do
  local state = redis.call('HGET', KEYS[1], ARGV[i])
  if state then
    local used, ends = string.match(state, '^(%d+):(%d+)$')
    if used and tonumber(ends) > now then
      redis.call('HSET', KEYS[1], ARGV[i], string.format('%.0f:%s', math.max(0, tonumber(used) - cost), ends))
    end
  end
end
