-- The operations on the database beside judging: refunds, what staff does, sweeping.
local RECORD_BYTES = 73 -- entry and totals, before what is kept as text

-- Takes one entry out of a history and its totals, which stand as of the newest
-- entry: true, or false when it is not (any longer) among them.
local function take_out(name, entry, entry_generation)
    local totals = call('GET', TOTALS .. name)
    if not totals then
        return false
    end
    local newest, generation, oldest, count, weight, place = unpack_bytes(TOTALS_FORM, totals)
    local time, entry_weight = unpack_bytes('>I6I2', entry)
    local length = place <= #totals and DAY or HOUR
    -- one before the oldest has left, also when the clock went back since
    if generation ~= entry_generation or time <= newest - length or count == 0 or time < oldest then
        return false
    end
    local removed = call('LREM', HISTORY .. name, -1, entry)
    if removed == 0 and time > newest then -- a wrong clock stamped it, and it was mended
        local mended = string.sub(entry, 7, 8) .. '\240\0\0'
        for _, other in ipairs(call('LRANGE', HISTORY .. name, 0, -1)) do
            if removed == 0 and string.sub(other, 7) == mended then
                removed = call('LREM', HISTORY .. name, -1, other)
                time = unpack_bytes('>I6', other)
            end
        end
    end
    if removed == 0 then
        return false
    end
    local changed = pack(TOTALS_FORM, newest, generation, oldest, count - 1, weight - entry_weight)
    if place <= #totals then
        local hour_oldest, hour, hour_weight = unpack_bytes('>I6I4I5', totals, place)
        if time > newest - HOUR and hour > 0 and time >= hour_oldest then
            hour, hour_weight = hour - 1, hour_weight - entry_weight
        end
        changed = changed .. pack('>I6I4I5', hour_oldest, hour, hour_weight)
    end
    call('SET', TOTALS .. name, changed, 'KEEPTTL')
    return true
end

-- The detail of an audit entry; the rule, if there is one, is named first.
local function changed(before, after, rule)
    return string.format('{%s"before":%s,"after":%s}',
        rule and string.format('"rule":"%s",', rule) or '', before, after)
end

local operations = {}

function operations.refund(mailbox, charge)
    drop_ticket(mailbox, charge)
    local kept = call('GET', CHARGE .. charge)
    if not kept then
        return 0
    end
    -- entry, generation, fingerprint, IP; since entries have tags, '#' and the tag
    local at, _, generation = unpack_bytes('>I6I2I4', kept)
    local entry, ip = string.sub(kept, 1, 8), string.sub(kept, 21)
    if string.sub(ip, -4, -4) == '#' then
        entry, ip = entry .. string.sub(ip, -3), string.sub(ip, 1, -5)
    end
    if at >= REDEEMED or at <= now - DAY or not take_out(mailbox, entry, generation) then
        return 0
    end
    call('DEL', CHARGE .. charge)
    if ip ~= '' then
        take_out(ip, entry, 0)
    end
    return 1
end

function operations.suspend(mailbox, by, note, cause, ...)
    local durations = {}
    for i, duration in ipairs({...}) do
        durations[i] = tonumber(duration)
    end
    local before = detail_of(in_force(call('GET', SUSPENSION .. mailbox), now))
    local suspension = new_suspension(mailbox, cause, durations, now, by, note)
    audit(by, note, 'suspend', mailbox, changed(before, detail_of(suspension)))
    return 1, told(suspension)
end

function operations.lift(mailbox, by, note)
    local suspension = in_force(call('GET', SUSPENSION .. mailbox), now)
    if not suspension then
        return 0
    end
    call('DEL', SUSPENSION .. mailbox, TRIED .. mailbox)
    call('ZREM', SUSPENDED, mailbox)
    call('ZREM', ENDS, mailbox)
    audit(by, note, 'lift', mailbox, changed(detail_of(suspension), 'null'))
    return 1
end

-- A new generation: ids that were charged before are forgotten with their counts. Returns how many
-- messages and off-domain recipients there were.
local function forget_history(name)
    local totals = call('GET', TOTALS .. name)
    local messages, off_domain = 0, 0
    if totals then
        local newest, generation = unpack_bytes('>I6I4', totals)
        for _, entry in ipairs(call('LRANGE', HISTORY .. name, 0, -1)) do
            local time, weight = unpack_bytes('>I6I2', entry)
            if time > math.max(now, newest) - DAY then
                messages, off_domain = messages + 1, off_domain + weight
            end
        end
        call('SET', TOTALS .. name,
            pack('>I6I4I6I4I5I6I4I5', 0, (generation + 1) % 2 ^ 32, 0, 0, 0, 0, 0, 0), 'KEEPTTL')
        call('DEL', HISTORY .. name)
    end
    return messages, off_domain
end

-- `forwarding` is the name of the mailbox's other history.
function operations.reset(mailbox, by, note, forwarding)
    local messages, off_domain = forget_history(mailbox)
    local forwarded = forget_history(forwarding)
    audit(by, note, 'reset', mailbox,
        changed(string.format('{"messages":%d,"off_domain":%d%s}', messages, off_domain,
                forwarded > 0 and string.format(',"forwarded":%d', forwarded) or ''),
            '{"messages":0,"off_domain":0}'))
    return 1
end

-- What an adjustment (the array that is kept) says while it is in force.
local function detail_of_adjustment(adjustment)
    local _, _, _, _, removed, value, ends = unpack(adjustment)
    if removed == 1 or (ends >= 0 and ends <= now) then
        return 'null'
    end
    return string.format('{"value":%s,"until":%s}',
        value < 0 and 'null' or string.format('%d', value),
        ends >= 0 and '"' .. moment(ends) .. '"' or 'null')
end

-- ends: -1 is never. What is removed or has ended is told for a day more.
local function adjust(by, note, subject, rule, kind, removed, value, ends)
    local field = rule .. ' ' .. kind .. ' ' .. subject
    local known = call('HGET', ADJUSTMENTS, field)
    local change = call('HINCRBY', NUMBERS, 'change', 1)
    removed, value, ends = tonumber(removed), tonumber(value), tonumber(ends)
    local adjustment = {change, subject, rule, kind, removed, value, ends}
    call('HSET', ADJUSTMENTS, field, cjson.encode(adjustment))
    call('ZADD', CHANGES, change, field)
    if removed == 1 or ends >= 0 then
        call('ZADD', ADJUSTMENT_ENDS, (removed == 1 and now or ends) + DAY, field)
    else
        call('ZREM', ADJUSTMENT_ENDS, field)
    end
    audit(by, note, kind, subject,
        changed(known and detail_of_adjustment(cjson.decode(known)) or 'null',
            detail_of_adjustment(adjustment), kind ~= 'exempt' and rule))
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
    passed(CHARGE, function(text) return unpack_bytes('>I6', text) % REDEEMED <= now - DAY end)
    passed(DECISION, function(text)
        local outcome, place = string.match(text, '^(%a+)\n()')
        local admitted, refused = string.match(text, '^(%d+) (%d+) ', place + RECORD_BYTES)
        local was_admitted = outcome == 'admitted' or outcome == 'repeated'
            or outcome == 'redeemed'
        return unpack_bytes('>I6', text, place) + (was_admitted and admitted or refused) <= now
    end)
    local free = passed(SUSPENSION, function(text) return not in_force(text, now) end)
    if free then
        call('DEL', TRIED .. free)
    end
    local emptied = passed(TOTALS, function(text)
        local length = #text == 25 and HOUR or DAY
        return unpack_bytes('>I6', text) <= now - length
    end)
    if emptied then
        call('DEL', HISTORY .. emptied)
    end
    if string.sub(name, 1, #OFFENCES) == OFFENCES then
        call('ZREMRANGEBYSCORE', name, '-inf', now - REMEMBERED)
    elseif string.sub(name, 1, #FROM) == FROM or string.sub(name, 1, #OF) == OF or name == NEAR then
        call('ZREMRANGEBYSCORE', name, '-inf', now - DAY)
    elseif string.sub(name, 1, #TICKET) == TICKET then
        call('ZREMRANGEBYSCORE', name, '-inf', now)
    elseif name == LOG or string.sub(name, 1, #REFUSED) == REFUSED then
        sweep_list(name)
    end
end

-- One piece of the sweep: SCAN's cursor goes in and comes out, '0' at the end.
function operations.sweep(cursor)
    local found = call('SCAN', cursor, 'MATCH', 'sg:*', 'COUNT', 500)
    for _, name in ipairs(found[2]) do
        sweep_key(name)
    end
    return 1, found[1]
end

tidy()
return {server, operations[operation](unpack(ARGV, 4))}
