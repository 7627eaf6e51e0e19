-- A bundle of what the programs saw. ARGV: deadline, now, how many sightings and
-- how many near limits; then of each sighting its IP or '', domain, mailbox,
-- moment; of each near limit "RULE KEY", moment; of each counter name, number.
-- Sorted sets are by moment, the latest of each member.
local now, sightings, nears, place = ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0, 5

local touched = {}
local function saw(name, mailbox, at)
    call('ZADD', name, 'GT', at, mailbox)
    touched[name] = true
end
for _ = 1, sightings do
    local ip, domain, mailbox, at = unpack(ARGV, place, place + 3)
    place = place + 4
    if ip ~= '' then
        saw(FROM .. ip, mailbox, at)
    end
    saw(OF .. domain, mailbox, at)
end
for name in pairs(touched) do
    call('ZREMRANGEBYSCORE', name, '-inf', now - SEEN_KEPT)
    call('PEXPIRE', name, SEEN_KEPT + MARGIN)
end

for _ = 1, nears do
    call('ZADD', NEAR, 'GT', ARGV[place + 1], ARGV[place])
    place = place + 2
end
call('ZREMRANGEBYSCORE', NEAR, '-inf', now - LONGEST)
call('ZREMRANGEBYRANK', NEAR, 0, -NEAR_MAX - 1)

while place < #ARGV do
    call('HINCRBY', COUNTERS, ARGV[place], ARGV[place + 1])
    place = place + 2
end

-- Bundles come about every second: a good time to let the log of the version before go of ids whose
-- records have gone.
local gone = 0
for _, id in ipairs(call('LRANGE', EARLIER_LOG, 0, LOOK_AT - 1)) do
    if call('EXISTS', EARLIER_DECISION .. id) == 1 then
        break
    end
    gone = gone + 1
end
if gone > 0 then
    call('LTRIM', EARLIER_LOG, gone, -1)
end
return {server, 1}
