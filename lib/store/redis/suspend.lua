-- Suspending a mailbox, for the scripts that begin with audit.lua.

-- What the audit log keeps of a suspension: words, '-' for none.
local function seen_of(suspension)
    return suspension and string.format('%d %s %d %d %d', suspension.id, suspension.cause,
        suspension.since_ms, suspension.until_ms or -1, suspension.attempts) or '-'
end

-- ARGV from `place` on: mailbox, by, note, cause, how many durations, and these. Returns the
-- suspension, and the place behind. `look`: changes nothing, and fails where the other would.
local function suspend(place, look)
    local mailbox, by, note, cause, count = unpack(ARGV, place, place + 4)
    local durations = {}
    for i = 1, count do
        durations[i] = tonumber(ARGV[place + 4 + i])
    end
    local text = call('GET', SUSPENSION .. mailbox)
    local replaced = suspensions().find(
        suspensions().in_force(suspensions().read(text), now), cause)
    local suspension
    if not look then
        suspension = suspensions().new(mailbox, suspensions().read(text), replaced, cause,
            durations, now, by, note)
        audit(by, note, 'suspend', mailbox, 'seen', seen_of(replaced) .. ' ' .. seen_of(suspension))
    end
    return suspension, place + 5 + count
end
