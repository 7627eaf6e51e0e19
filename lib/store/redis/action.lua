-- The operations on the database beside judging: refunds, what staff does, sweeping.
local read_suspensions, in_force = suspensions().read, suspensions().in_force

local operations = {}

function operations.refund(mailbox, id, charge)
    local refunding = refunds()
    local found = refunding.find(mailbox, id, charge, now)
    return found and refunding.take_out(found) or 0
end

function operations.suspend()
    return 1, suspensions().told((suspend(4)))
end

local function lifted_of(mailbox, cause)
    return LIFTED .. cause .. ':' .. mailbox
end

-- For a while what was lifted can be put back.
local function set_aside(mailbox, suspension)
    local name, tried = lifted_of(mailbox, suspension.cause),
        suspensions().tried_of(mailbox, suspension.cause)
    call('DEL', name)
    call('HSET', name, 'suspension', cjson.encode(suspension), 'lifted_ms', now,
        'tried', call('GET', tried) or '')
    call('PEXPIRE', name, UNDO_TIME + MARGIN)
end

function operations.lift(mailbox, by, note, cause)
    local text = call('GET', SUSPENSION .. mailbox)
    local suspension = suspensions().find(in_force(read_suspensions(text), now), cause)
    if not suspension then
        return 0
    end
    set_aside(mailbox, suspension)
    suspensions().drop(mailbox, read_suspensions(text), cause, now)
    audit(by, note, 'lift', mailbox, 'seen', seen_of(suspension) .. ' -')
    return 1
end

-- Whether a suspension of the cause, beside number `id`, holds or began later.
local function is_replaced(mailbox, all, cause, id)
    if suspensions().find(in_force(all, now), cause) then
        return true
    end
    for _, other in ipairs(call('ZRANGE', OFFENCES .. cause .. ':' .. mailbox, 0, -1)) do
        if tonumber(other) > id then
            return true
        end
    end
    return false
end

-- newest: the last entry of the audit log about the mailbox that who asks has read. The other
-- arguments are of the entry that is written. Returns 0 and why it is not done.
function operations.unlift(cause, id, newest, by, note, name, mailbox, as, detail)
    local all = read_suspensions(call('GET', SUSPENSION .. mailbox))
    if tonumber(call('LINDEX', AUDIT_OF .. mailbox, -1) or 0) ~= tonumber(newest) then
        return 0, UNLIFT_CHANGED
    elseif is_replaced(mailbox, all, cause, tonumber(id)) then
        return 0, UNLIFT_REPLACED
    end
    local aside, tried = unpack(call('HMGET', lifted_of(mailbox, cause), 'suspension', 'tried'))
    local suspension = aside and cjson.decode(aside)
    if not suspension or suspension.id ~= tonumber(id) then
        return 0, UNLIFT_GONE
    elseif suspension.until_ms and suspension.until_ms <= now then
        return 0, UNLIFT_ENDED
    end
    if tried ~= '' then
        call('SET', suspensions().tried_of(mailbox, cause), tried)
    end
    all[select(2, suspensions().find(all, cause)) or #all + 1] = suspension
    suspensions().keep(mailbox, all, now)
    call('DEL', lifted_of(mailbox, cause))
    audit(by, note, name, mailbox, as, detail)
    return 1, 0
end

-- The ids of the messages are forgotten with their counts. Returns how many messages and off-domain
-- recipients there were.
local function forget_history(key)
    local text = histories().read(key, true)
    local messages, off_domain = 0, 0
    local of_domain = string.sub(key, 1, #DOMAIN_KEY) == DOMAIN_KEY
    local each = of_domain and DOMAIN_EACH or MAILBOX_EACH
    local longest = of_domain and DOMAIN_LONGEST or MAILBOX_LONGEST
    if text then
        local newest, entries = histories().newest_of(key, text), histories().entries_of(key, text)
        for offset = 0, #entries - 1, each do
            local time, weight = histories().entry_at(entries, offset)
            if time > math.max(now, newest) - longest then
                messages, off_domain = messages + 1, off_domain + weight
            end
        end
        call('DEL', key)
    end
    return messages, off_domain
end

-- Each history is two arguments: the channel that it is called by, and its key.
function operations.reset(mailbox, by, note, ...)
    local given, seen = {...}, {}
    for i = 1, #given, 2 do
        local messages, off_domain = forget_history(given[i + 1])
        seen[#seen + 1] = string.format('%s %d %d', given[i], messages, off_domain)
    end
    recipients().forget(mailbox)
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
    return string.format('%s %d', value, ends)
end

-- value: a number, or the name of a plan. ends: -1 is never. What is removed or has ended is told for a while more. Behind them the arguments
-- of audit; none: its usual entry.
local function adjust(by, note, subject, rule, kind, removed, value, ends, ...)
    local field = rule .. ' ' .. kind .. ' ' .. subject
    local known = call('HGET', ADJUSTMENTS, field)
    local change = call('HINCRBY', NUMBERS, 'change', 1)
    removed, ends = tonumber(removed), tonumber(ends)
    if kind ~= 'plan' then
        value = tonumber(value)
    end
    local adjustment = {change, subject, rule, kind, removed, value, ends}
    call('HSET', ADJUSTMENTS, field, cjson.encode(adjustment))
    call('ZADD', CHANGES, change, field)
    if removed == 1 or ends >= 0 then
        call('ZADD', ADJUSTMENT_ENDS, (removed == 1 and now or ends) + CHANGE_TOLD, field)
    else
        call('ZREM', ADJUSTMENT_ENDS, field)
    end
    if select('#', ...) > 0 then
        audit(...)
        return
    end
    audit(by, note, kind, subject, 'seen', string.format('%s %s %s', rule,
        known and seen_of_adjustment(cjson.decode(known)) or '-', seen_of_adjustment(adjustment)))
end

-- Each adjustment is `each` arguments. newest: who asks has looked at all changes up to it, and
-- nothing is done when there is another; -1: whatever there is.
function operations.adjust(by, note, newest, each, ...)
    each = tonumber(each)
    if tonumber(newest) >= 0 and
        #call('ZRANGEBYSCORE', CHANGES, '(' .. newest, '+inf', 'LIMIT', 0, 1) > 0 then
        return 0
    end
    local all = {...}
    for first = 1, #all, each do
        adjust(by, note, unpack(all, first, first + each - 1))
    end
    return 1
end

-- When a record of the version before ends: its moment, and for how long it is kept when admitted
-- and when refused.
local function record_end(text)
    local outcome, shape, place = string.match(text, '^(%a+)([ %d]*)\n()')
    local spans, ip_spans = string.match(shape, '^ (%d+) (%d+)$')
    local counts = EARLIER_SPAN_BYTES
        * ((spans or EARLIER_MAILBOX_SPANS) + (ip_spans or EARLIER_IP_SPANS))
    local admitted, refused = string.match(text, '^(%d+) (%d+) ',
        place + ENTRY_BYTES + 2 * EARLIER_HEAD_BYTES + counts)
    local passes = outcome == ADMITTED_NAME or outcome == REPEATED_NAME or outcome == REDEEMED_NAME
    return unpack_bytes(TIME_FORM, text, place) + (passes and admitted or refused)
end

-- If the key `name` begins with `prefix` and its text is past: it goes. Returns what is behind the
-- prefix then.
local function drop_past(name, prefix, is_past)
    local text = string.sub(name, 1, #prefix) == prefix and call('GET', name)
    if text and is_past(text) then
        call('DEL', name)
        return string.sub(name, #prefix + 1)
    end
end

-- The same of what the version before kept.
local function sweep_earlier(name, now)
    drop_past(name, EARLIER_CHARGE, function(text)
        return unpack_bytes(TIME_FORM, text) % EARLIER_REDEEMED_TIME <= now - COUNTED_KNOWN
    end)
    drop_past(name, EARLIER_DECISION, function(text) return record_end(text) <= now end)
    local emptied = drop_past(name, EARLIER_TOTALS, function(text)
        local length = string.find(name, '@', 1, true) and MAILBOX_LONGEST or IP_LONGEST
        return unpack_bytes(TIME_FORM, text) <= now - length
    end)
    if emptied then
        call('DEL', EARLIER_HISTORY .. emptied)
    end
end

-- The oldest ids of a list go as long as their records have gone.
local function sweep_list(name, now)
    local id = call('LINDEX', name, 0)
    while id do
        local kept = false
        if #id == REFUSED_ID_BYTES then
            local since = unpack_bytes(SINCE_FORM, id)
            kept = records().find(string.format('%d', since + DECISION_EPOCH),
                string.sub(id, SINCE_BYTES + 1))
        else
            sweep_earlier(EARLIER_DECISION .. id, now)
            kept = call('EXISTS', EARLIER_DECISION .. id) == 1
        end
        if kept then
            return
        end
        call('LPOP', name)
        id = call('LINDEX', name, 0)
    end
end

-- What of the key `name` is past its time goes, whatever its expiry says; with
-- a margin, for who asks next may have a clock that is a little behind.
local function sweep_key(name)
    local now = now - MARGIN
    local free = drop_past(name, SUSPENSION, function(text)
        return #in_force(read_suspensions(text), now) == 0
    end)
    for place = 1, free and #CAUSES or 0 do
        call('DEL', suspensions().tried_of(free, CAUSES[place]))
    end
    drop_past(name, MAILBOX_KEY, function(text)
        return histories().newest_of(name, text) <= now - MAILBOX_LONGEST
    end)
    drop_past(name, IP_KEY, function(text)
        return histories().newest_of(name, text) <= now - IP_LONGEST
    end)
    drop_past(name, DOMAIN_KEY, function(text)
        return histories().newest_of(name, text) <= now - DOMAIN_LONGEST
    end)
    if string.sub(name, 1, #PAIRS) == PAIRS then
        recipients().sweep(name, now - PAIR_WINDOW)
    end
    local value = drop_past(name, VALUE, function(text)
        local _, ends = unpack_bytes(VALUE_FORM, text)
        return ends > 0 and ends <= now
    end)
    if value then
        local kind, key = string.match(value, '^(%a+):(.*)$')
        call('ZREM', VALUE_KEYS .. kind, key)
        call('ZREM', VALUE_ENDS, kind .. ' ' .. key)
    end
    sweep_earlier(name, now)
    if string.sub(name, 1, #OFFENCES) == OFFENCES then
        call('ZREMRANGEBYSCORE', name, '-inf', now - REMEMBERED)
    elseif string.sub(name, 1, #LIFTED) == LIFTED and
        tonumber(call('HGET', name, 'lifted_ms')) < now - UNDO_TIME then
        call('DEL', name)
    elseif string.sub(name, 1, #FROM) == FROM or string.sub(name, 1, #OF) == OF then
        call('ZREMRANGEBYSCORE', name, '-inf', now - SEEN_KEPT)
    elseif name == NEAR then
        call('ZREMRANGEBYSCORE', name, '-inf', now - LONGEST)
    elseif string.sub(name, 1, #TICKET) == TICKET then
        call('ZREMRANGEBYSCORE', name, '-inf', now)
    elseif name == EARLIER_LOG or string.sub(name, 1, #REFUSED_OF) == REFUSED_OF then
        sweep_list(name, now)
    end
end

-- One piece of the sweep: SCAN's cursor goes in and comes out, '0' at the end.
function operations.sweep(cursor)
    records().trim(now - MARGIN, LOOK_AT)
    local found = call('SCAN', cursor, 'MATCH', ALL, 'COUNT', SCAN_AT_ONCE)
    for _, name in ipairs(found[2]) do
        sweep_key(name)
    end
    return 1, found[1]
end

tidy()
return answer(operations[operation](unpack(ARGV, 4)))
