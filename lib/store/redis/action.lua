-- The operations on the database beside judging: refunds, what staff does, sweeping.
local in_force = suspensions().in_force

-- Takes one entry out of a history and its totals, which stand as of the newest
-- entry: true, or false when it is not (any longer) among them.
local function take_out(name, entry, entry_generation, form, ...)
    local text = call('GET', TOTALS .. name)
    if not text then
        return false
    end
    local lengths = {...}
    local totals = {unpack_bytes(form, histories().shaped(text, #lengths))}
    local newest = totals[1]
    local time, weight = unpack_bytes(ENTRY_FORM, entry)
    local function is_within(span) -- one before the oldest has left, also when the clock went back
        return time > newest - lengths[span] and totals[3 * span + 1] > 0
            and time >= totals[3 * span]
    end
    if totals[2] ~= entry_generation or not is_within(1) then
        return false
    end
    local removed, counted = call('LREM', HISTORY .. name, -1, entry), time
    if removed == 0 and time > newest then -- a wrong clock stamped it, and it was mended
        local mended = string.sub(entry, TIME_BYTES + 1, ENTRY_BYTES) .. TAG_OF_NONE
        for _, other in ipairs(call('LRANGE', HISTORY .. name, 0, -1)) do
            if removed == 0 and string.sub(other, TIME_BYTES + 1) == mended then
                removed = call('LREM', HISTORY .. name, -1, other)
                counted = unpack_bytes(TIME_FORM, other)
            end
        end
    end
    if removed == 0 then
        return false
    end
    time = counted
    for span = 1, #lengths do
        if span == 1 or is_within(span) then
            local at = 3 * span
            totals[at + 1], totals[at + 2] = totals[at + 1] - 1, totals[at + 2] - weight
        end
    end
    call('SET', TOTALS .. name, pack(form, unpack(totals)), 'KEEPTTL')
    return true
end

local operations = {}

function operations.refund(mailbox, charge)
    tickets().drop(mailbox, charge)
    local kept = call('GET', CHARGE .. charge)
    if not kept then
        return 0
    end
    -- an IP may follow; since entries have tags, '#' and the tag
    local at, _, generation, _, place = unpack_bytes(CHARGE_FORM, kept)
    local entry, ip = string.sub(kept, 1, ENTRY_BYTES), string.sub(kept, place)
    if string.sub(ip, -TAG_BYTES - 1, -TAG_BYTES - 1) == '#' then
        entry, ip = entry .. string.sub(ip, -TAG_BYTES), string.sub(ip, 1, -TAG_BYTES - 2)
    end
    if at >= REDEEMED or at <= now - COUNTED_KNOWN
        or not take_out(mailbox, entry, generation, MAILBOX_FORM, MAILBOX_LENGTHS) then
        return 0
    end
    call('DEL', CHARGE .. charge)
    if ip ~= '' then
        take_out(ip, entry, 0, IP_FORM, IP_LENGTHS)
    end
    return 1
end

-- What the audit log keeps of a suspension: words, '-' for none.
local function seen_of(suspension)
    return suspension and string.format('%d %s %d %d %d', suspension.id, suspension.cause,
        suspension.since_ms, suspension.until_ms or -1, suspension.attempts) or '-'
end

function operations.suspend(mailbox, by, note, cause, ...)
    local durations = {}
    for i, duration in ipairs({...}) do
        durations[i] = tonumber(duration)
    end
    local before = seen_of(in_force(call('GET', SUSPENSION .. mailbox), now))
    local suspension = suspensions().new(mailbox, cause, durations, now, by, note)
    audit(by, note, 'suspend', mailbox, 'seen', before .. ' ' .. seen_of(suspension))
    return 1, suspensions().told(suspension)
end

function operations.lift(mailbox, by, note)
    local suspension = in_force(call('GET', SUSPENSION .. mailbox), now)
    if not suspension then
        return 0
    end
    call('DEL', SUSPENSION .. mailbox, TRIED .. mailbox)
    call('ZREM', SUSPENDED, mailbox)
    call('ZREM', ENDS, mailbox)
    audit(by, note, 'lift', mailbox, 'seen', seen_of(suspension) .. ' -')
    return 1
end

-- A new generation: ids that were charged before are forgotten with their counts. Returns how many
-- messages and off-domain recipients there were.
local function forget_history(name)
    local totals = call('GET', TOTALS .. name)
    local messages, off_domain = 0, 0
    if totals then
        local newest, generation = unpack_bytes(HEAD_FORM, totals)
        for _, entry in ipairs(call('LRANGE', HISTORY .. name, 0, -1)) do
            local time, weight = unpack_bytes(ENTRY_FORM, entry)
            if time > math.max(now, newest) - MAILBOX_LONGEST then
                messages, off_domain = messages + 1, off_domain + weight
            end
        end
        call('SET', TOTALS .. name, pack(HEAD_FORM, 0, (generation + 1) % GENERATIONS)
            .. string.sub(MAILBOX_EMPTY, HEAD_BYTES + 1), 'KEEPTTL')
        call('DEL', HISTORY .. name)
    end
    return messages, off_domain
end

-- Each history is two arguments: the channel that it is called by, and its name.
function operations.reset(mailbox, by, note, ...)
    local given, seen = {...}, {}
    for i = 1, #given, 2 do
        local messages, off_domain = forget_history(given[i + 1])
        seen[#seen + 1] = string.format('%s %d %d', given[i], messages, off_domain)
    end
    audit(by, note, 'reset', mailbox, 'seen', table.concat(seen, ' '))
    return 1
end

-- What the audit log keeps of an adjustment (the array that is kept): value and end, '-' when it is
-- not in force.
local function seen_of_adjustment(adjustment)
    local _, _, _, _, removed, value, ends = unpack(adjustment)
    if removed == 1 or (ends >= 0 and ends <= now) then
        return '-'
    end
    return string.format('%d %d', value, ends)
end

-- ends: -1 is never. What is removed or has ended is told for a while more.
local function adjust(by, note, subject, rule, kind, removed, value, ends)
    local field = rule .. ' ' .. kind .. ' ' .. subject
    local known = call('HGET', ADJUSTMENTS, field)
    local change = call('HINCRBY', NUMBERS, 'change', 1)
    removed, value, ends = tonumber(removed), tonumber(value), tonumber(ends)
    local adjustment = {change, subject, rule, kind, removed, value, ends}
    call('HSET', ADJUSTMENTS, field, cjson.encode(adjustment))
    call('ZADD', CHANGES, change, field)
    if removed == 1 or ends >= 0 then
        call('ZADD', ADJUSTMENT_ENDS, (removed == 1 and now or ends) + CHANGE_TOLD, field)
    else
        call('ZREM', ADJUSTMENT_ENDS, field)
    end
    audit(by, note, kind, subject, 'seen', string.format('%s %s %s', rule,
        known and seen_of_adjustment(cjson.decode(known)) or '-', seen_of_adjustment(adjustment)))
end

-- Each adjustment is six arguments. newest: who asks has looked at all changes up to it, and
-- nothing is done when there is another; -1: whatever there is.
function operations.adjust(by, note, newest, ...)
    if tonumber(newest) >= 0 and
        #call('ZRANGEBYSCORE', CHANGES, '(' .. newest, '+inf', 'LIMIT', 0, 1) > 0 then
        return 0
    end
    local all = {...}
    for first = 1, #all, 6 do
        adjust(by, note, unpack(all, first, first + 5))
    end
    return 1
end

local sweep_key

-- The oldest ids of a list go as long as their records have gone.
local function sweep_list(name)
    local id = call('LINDEX', name, 0)
    while id do
        sweep_key(DECISION .. id)
        if call('EXISTS', DECISION .. id) == 1 then
            return
        end
        call('LPOP', name)
        id = call('LINDEX', name, 0)
    end
end

-- When a record ends: its moment, and for how long it is kept when admitted and when refused.
local function record_end(text)
    local outcome, shape, place = string.match(text, '^(%a+)([ %d]*)\n()')
    local spans, ip_spans = string.match(shape, '^ (%d+) (%d+)$')
    local counts = SPAN_BYTES * ((spans or FIRST_MAILBOX_SPANS) + (ip_spans or FIRST_IP_SPANS))
    local admitted, refused = string.match(text, '^(%d+) (%d+) ',
        place + ENTRY_BYTES + 2 * HEAD_BYTES + counts)
    local passes = outcome == OUTCOME_ADMITTED or outcome == OUTCOME_REPEATED
        or outcome == OUTCOME_REDEEMED
    return unpack_bytes(TIME_FORM, text, place) + (passes and admitted or refused)
end

-- What of the key `name` is past its time goes, whatever its expiry says; with
-- a margin, for who asks next may have a clock that is a little behind.
function sweep_key(name)
    local now = now - MARGIN
    local function passed(prefix, is_past)
        if string.sub(name, 1, #prefix) ~= prefix then
            return false
        end
        local text = call('GET', name)
        if text and is_past(text) then
            call('DEL', name)
            return string.sub(name, #prefix + 1)
        end
    end
    passed(CHARGE, function(text)
        return unpack_bytes(TIME_FORM, text) % REDEEMED <= now - COUNTED_KNOWN
    end)
    passed(DECISION, function(text) return record_end(text) <= now end)
    local free = passed(SUSPENSION, function(text) return not in_force(text, now) end)
    if free then
        call('DEL', TRIED .. free)
    end
    local emptied = passed(TOTALS, function(text)
        local length = string.find(name, '@', 1, true) and MAILBOX_LONGEST or IP_LONGEST
        return unpack_bytes(TIME_FORM, text) <= now - length
    end)
    if emptied then
        call('DEL', HISTORY .. emptied)
    end
    if string.sub(name, 1, #OFFENCES) == OFFENCES then
        call('ZREMRANGEBYSCORE', name, '-inf', now - REMEMBERED)
    elseif string.sub(name, 1, #FROM) == FROM or string.sub(name, 1, #OF) == OF then
        call('ZREMRANGEBYSCORE', name, '-inf', now - SEEN_KEPT)
    elseif name == NEAR then
        call('ZREMRANGEBYSCORE', name, '-inf', now - LONGEST)
    elseif string.sub(name, 1, #TICKET) == TICKET then
        call('ZREMRANGEBYSCORE', name, '-inf', now)
    elseif name == LOG or string.sub(name, 1, #REFUSED) == REFUSED then
        sweep_list(name)
    end
end

-- One piece of the sweep: SCAN's cursor goes in and comes out, '0' at the end.
function operations.sweep(cursor)
    local found = call('SCAN', cursor, 'MATCH', ALL, 'COUNT', SCAN_AT_ONCE)
    for _, name in ipairs(found[2]) do
        sweep_key(name)
    end
    return 1, found[1]
end

tidy()
return {server, operations[operation](unpack(ARGV, 4))}
