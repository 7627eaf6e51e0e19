-- suspensions(): the life of a suspension, kept as JSON. No until_ms: until lifted.

-- The suspension of that text while it lasts, else nil. And whether a wrong clock stamped its
-- beginning, or the attempt that moved its end: it begins now then.
local function in_force(text, now)
    local suspension = text and cjson.decode(text)
    local ends, ahead = suspension and suspension.until_ms, false
    if suspension then
        local lasts = suspension.lasts_ms or ends and ends - suspension.since_ms
        ahead = suspension.since_ms > now + AHEAD or ends and ends - lasts > now + AHEAD or false
        if ahead then
            if suspension.since_ms > now + AHEAD then
                suspension.since_ms = now
            end
            suspension.until_ms = ends and now + lasts
        end
    end
    if suspension and (not suspension.until_ms or suspension.until_ms > now) then
        return suspension, ahead
    end
end

-- As an answer: an array for C, false for none.
local function told(suspension)
    return suspension and {
        suspension.id, suspension.cause, suspension.since_ms, suspension.until_ms or -1,
        suspension.attempts, suspension.offence, suspension.by, suspension.note,
    } or false
end

local function keep_suspension(mailbox, suspension, now)
    local text = cjson.encode(suspension)
    if suspension.until_ms then
        call('SET', SUSPENSION .. mailbox, text, 'PX', suspension.until_ms - now + MARGIN)
        call('PEXPIRE', TRIED .. mailbox, suspension.until_ms - now + MARGIN)
        call('ZADD', ENDS, suspension.until_ms, mailbox)
    else
        call('SET', SUSPENSION .. mailbox, text)
        call('PERSIST', TRIED .. mailbox)
        call('ZREM', ENDS, mailbox)
    end
    call('ZADD', SUSPENDED, 0, mailbox)
end

-- The suspensions that are remembered, ended ones too.
local function offences_of(mailbox, cause, now)
    return call('ZCOUNT', OFFENCES .. cause .. ':' .. mailbox, '(' .. now - REMEMBERED, '+inf')
end

-- A new suspension; `durations`, in ms, goes by offence; -1 is until lifted.
local function new_suspension(mailbox, cause, durations, now, by, note)
    local offences = OFFENCES .. cause .. ':' .. mailbox
    for _, id in ipairs(call('ZRANGEBYSCORE', offences, '(' .. now + AHEAD, '+inf')) do
        call('ZADD', offences, now, id)
    end
    local offence = offences_of(mailbox, cause, now) + 1
    local duration = durations[math.min(offence, #durations)]
    local suspension = {
        id = call('HINCRBY', NUMBERS, 'suspension', 1),
        cause = cause,
        since_ms = now,
        until_ms = duration >= 0 and now + duration or nil,
        lasts_ms = duration,
        attempts = 0,
        offence = offence,
        by = by,
        note = note,
    }
    call('ZREMRANGEBYSCORE', offences, '-inf', now - REMEMBERED)
    call('ZADD', offences, now, suspension.id)
    call('PEXPIRE', offences, REMEMBERED + MARGIN)
    call('DEL', TRIED .. mailbox)
    keep_suspension(mailbox, suspension, now)
    return suspension
end

return {
    in_force = in_force, told = told, keep = keep_suspension, offences_of = offences_of,
    new = new_suspension,
}
