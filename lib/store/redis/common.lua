-- What every script begins with: the names of the keys, the deadline, and the
-- life of a suspension. Before it redis.c sets what C has too: HOUR, DAY,
-- TICKET_TIME, REMEMBERED (offences are), and AHEAD: what is further ahead was
-- stamped by a wrong clock, and is taken as of now. ARGV[1] is the deadline in microseconds of this
-- server's clock: who asked has given up by then, so nothing may change any
-- more. A late script answers with the time alone; every other answer is no
-- bare number.
local call, pack, unpack_bytes = redis.call, struct.pack, struct.unpack
local MARGIN = 60000 -- keys outlive their content a little: clocks differ
local TOTALS, HISTORY, CHARGE = 'sg:totals:', 'sg:history:', 'sg:charge:'
local TRIED = 'sg:tried:' -- of a suspension: 8 bytes of each message that was refused since
local DECISION, SUSPENSION, OFFENCES = 'sg:decision:', 'sg:suspension:', 'sg:offences:'
local TICKET = 'sg:ticket:' -- members: recipients (2 bytes), key of the charge; scores: ends
local LOG, REFUSED = 'sg:log', 'sg:refused:' -- ids of decisions in order of judging
local REDEEMED = 2 ^ 47 -- in the time of a charge: its ticket was redeemed
local TOTALS_FORM = '>I6I4I6I4I5' -- what the totals of every history begin with
local SUSPENDED, ENDS, NUMBERS = 'sg:suspended', 'sg:suspended:ends', 'sg:numbers'

local KEPT, KEPT_KEYS, KEPT_ENDS = 'sg:kept:', 'sg:kept_keys:', 'sg:kept_ends'
local FROM, OF, NEAR = 'sg:from:', 'sg:of:', 'sg:near'

local clock = call('TIME')
local server = clock[1] * 1000000 + clock[2]
if server >= ARGV[1] + 0 then
    return server
end

-- The entries of a history as one text, 11 bytes each: time, weight, tag of the
-- decision. Those of earlier versions have 8, and may stand between others while
-- machines are brought up to date; they lead to no decision, which is what 15 in
-- the tag's upper four bits says.
local function entries_of(name)
    local entries = call('LRANGE', HISTORY .. name, 0, -1)
    for i = 1, #entries do
        if #entries[i] == 8 then
            entries[i] = entries[i] .. '\240\0\0'
        end
    end
    return table.concat(entries)
end

-- The suspension of that text while it lasts, else nil. No until_ms: until lifted. And whether a
-- wrong clock stamped its beginning, or the attempt that moved its end: it begins now then.
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

-- The charge gets no refund any longer; a time needs no more than the lower 47 bits.
local function mark_redeemed(charge)
    local first = call('GETRANGE', CHARGE .. charge, 0, 0)
    if first ~= '' and string.byte(first) < 128 then
        call('SETRANGE', CHARGE .. charge, 0, string.char(string.byte(first) + 128))
    end
end

-- The ticket of that submission goes.
local function drop_ticket(mailbox, charge)
    for _, ticket in ipairs(call('ZRANGE', TICKET .. mailbox, 0, -1)) do
        if string.sub(ticket, 3) == charge then
            call('ZREM', TICKET .. mailbox, ticket)
        end
    end
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

-- The suspensions of the last 30 days, ended ones too.
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
