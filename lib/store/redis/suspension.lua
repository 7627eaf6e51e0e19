-- suspensions(): the life of suspensions. Those of a mailbox are one key, a line of JSON for each, at
-- most one of a cause; some of them may have ended. No until_ms: until lifted.
local for_good = math.huge

local function read(text)
    local all = {}
    for line in string.gmatch(text or '', '[^\n]+') do
        all[#all + 1] = cjson.decode(line)
    end
    return all
end

-- Of `all` those that hold, and those of them that a wrong clock stamped: it did the beginning, or
-- the attempt that moved the end. Such a one begins now.
local function in_force(all, now)
    local held, mended = {}, {}
    for _, suspension in ipairs(all) do
        local ends = suspension.until_ms
        local lasts = suspension.lasts_ms or ends and ends - suspension.since_ms
        if suspension.since_ms > now + AHEAD or ends and ends - lasts > now + AHEAD then
            if suspension.since_ms > now + AHEAD then
                suspension.since_ms = now
            end
            suspension.until_ms = ends and now + lasts
            mended[#mended + 1] = suspension
        end
        if not suspension.until_ms or suspension.until_ms > now then
            held[#held + 1] = suspension
        end
    end
    return held, mended
end

-- The suspension of that cause and its place in a list, nil when there is none.
local function find(list, cause)
    for place, suspension in ipairs(list) do
        if suspension.cause == cause then
            return suspension, place
        end
    end
end

-- As an answer: an array for C.
local function told(suspension)
    return {
        suspension.id, suspension.cause, suspension.since_ms, suspension.until_ms or -1,
        suspension.attempts, suspension.offence, suspension.by, suspension.note,
    }
end

local function told_all(list)
    local answers = {}
    for place, suspension in ipairs(list) do
        answers[place] = told(suspension)
    end
    return answers
end

-- The key of the attempts that a suspension knows.
local function tried_of(mailbox, cause)
    return TRIED .. cause .. ':' .. mailbox
end

local function expire(key, ends, now)
    if ends == for_good then
        call('PERSIST', key)
    else
        call('PEXPIRE', key, math.max(ends - now, 0) + MARGIN)
    end
end

-- Keeps all of a mailbox but what ended and is no offence any longer. What ended lately stays, for
-- it holds again when the clock goes back.
local function keep(mailbox, all, now)
    local lines, latest = {}, 0
    for _, suspension in ipairs(all) do
        local ends = suspension.until_ms or for_good
        if ends > now or suspension.since_ms > now - REMEMBERED then
            lines[#lines + 1] = cjson.encode(suspension)
            latest = math.max(latest, ends)
            expire(tried_of(mailbox, suspension.cause), ends, now)
        end
    end
    if #lines == 0 then
        call('DEL', SUSPENSION .. mailbox)
        call('ZREM', SUSPENDED, mailbox)
        call('ZREM', ENDS, mailbox)
        return
    end
    call('SET', SUSPENSION .. mailbox, table.concat(lines, '\n'))
    expire(SUSPENSION .. mailbox, latest, now)
    if latest == for_good then
        call('ZREM', ENDS, mailbox)
    else
        call('ZADD', ENDS, latest, mailbox)
    end
    call('ZADD', SUSPENDED, 0, mailbox)
end

-- Takes that of the cause out of what is kept.
local function drop(mailbox, all, cause, now)
    table.remove(all, select(2, find(all, cause)))
    call('DEL', tried_of(mailbox, cause))
    keep(mailbox, all, now)
end

-- The suspensions that are remembered, ended ones too.
local function offences_of(mailbox, cause, now)
    return call('ZCOUNT', OFFENCES .. cause .. ':' .. mailbox, '(' .. now - REMEMBERED, '+inf')
end

-- A new suspension beside `all`, those of the mailbox as they are kept, in the place of that of its
-- cause. `replaced`: that one where it holds; the new one does not end before it. `durations`, in
-- ms, goes by offence; -1 is until lifted.
local function new_suspension(mailbox, all, replaced, cause, durations, now, by, note)
    local offences = OFFENCES .. cause .. ':' .. mailbox
    for _, id in ipairs(call('ZRANGEBYSCORE', offences, '(' .. now + AHEAD, '+inf')) do
        call('ZADD', offences, now, id)
    end
    local offence = offences_of(mailbox, cause, now) + 1
    local duration = durations[math.min(offence, #durations)]
    local ends = duration >= 0 and now + duration or for_good
    if replaced then
        ends = math.max(ends, replaced.until_ms or for_good)
    end
    local suspension = {
        id = call('HINCRBY', NUMBERS, 'suspension', 1),
        cause = cause,
        since_ms = now,
        until_ms = ends < for_good and ends or nil,
        lasts_ms = ends < for_good and ends - now or -1,
        attempts = 0,
        offence = offence,
        by = by,
        note = note,
    }
    call('ZREMRANGEBYSCORE', offences, '-inf', now - REMEMBERED)
    call('ZADD', offences, now, suspension.id)
    call('PEXPIRE', offences, REMEMBERED + MARGIN)
    call('DEL', tried_of(mailbox, cause))
    all[select(2, find(all, cause)) or #all + 1] = suspension
    keep(mailbox, all, now)
    return suspension
end

return {
    read = read, in_force = in_force, find = find, told = told, told_all = told_all,
    tried_of = tried_of, keep = keep, drop = drop, offences_of = offences_of,
    new = new_suspension,
}
