-- The acts that change something beside judging. ARGV: deadline, act, now, then
-- what the act needs. Answers with an array: this server's time, 1 or 0, and
-- what the act has to tell.
local act, now = ARGV[2], tonumber(ARGV[3])
local ADJUSTMENTS = 'sg:adjustments'
local CHANGES, ADJUSTMENT_ENDS = 'sg:adjustments:changes', 'sg:adjustments:ends'
local TIDY_AT_ONCE = 32
local RECORD_BYTES = 73 -- entry and totals, before what is kept as text

local function audit(by, name, subject, note, detail)
    local number = call('HINCRBY', NUMBERS, 'audit', 1)
    call('XADD', 'sg:audit', number .. '-0', 'at_ms', now, 'by', by, 'act', name,
        'subject', subject, 'note', note, 'detail', detail)
end

-- A moment as text_add_time in C writes it: RFC 3339 in UTC, seconds rounded up.
local function moment(time_ms)
    local seconds = math.ceil(time_ms / 1000)
    local days = math.floor(seconds / 86400)
    -- civil calendar from a count of days, in years that begin in March
    local since = days + 719468
    local era = math.floor(since / 146097)
    local day = since - era * 146097
    local leap_days = math.floor(day / 1460) - math.floor(day / 36524) + math.floor(day / 146096)
    local year = math.floor((day - leap_days) / 365)
    day = day - (365 * year + math.floor(year / 4) - math.floor(year / 100))
    local month = math.floor((5 * day + 2) / 153)
    day = day - math.floor((153 * month + 2) / 5) + 1
    month = month < 10 and month + 3 or month - 9
    year = year + era * 400 + (month <= 2 and 1 or 0)
    local second = seconds - days * 86400
    return string.format('%04d-%02d-%02dT%02d:%02d:%02dZ', year, month, day,
        math.floor(second / 3600), math.floor(second / 60) % 60, second % 60)
end

local function detail_of(suspension)
    return string.format('{"id":%d,"cause":"%s","since":"%s","until":%s,"attempts":%d}',
        suspension.id, suspension.cause, moment(suspension.since_ms),
        suspension.until_ms and '"' .. moment(suspension.until_ms) .. '"' or 'null',
        suspension.attempts)
end

-- Indexes have no expiry of their own: what they still name is dropped here.
local function tidy()
    for _, mailbox in ipairs(call('ZRANGEBYSCORE', ENDS, '-inf', now, 'LIMIT', 0, TIDY_AT_ONCE)) do
        call('ZREM', ENDS, mailbox)
        call('ZREM', SUSPENDED, mailbox)
    end
    for _, field in ipairs(
        call('ZRANGEBYSCORE', ADJUSTMENT_ENDS, '-inf', now, 'LIMIT', 0, TIDY_AT_ONCE)) do
        call('ZREM', ADJUSTMENT_ENDS, field)
        call('ZREM', CHANGES, field)
        call('HDEL', ADJUSTMENTS, field)
    end
end

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
    if generation ~= entry_generation or time <= newest - length
        or call('LREM', HISTORY .. name, -1, entry) == 0 then
        return false
    end
    local changed = pack(TOTALS_FORM, newest, generation, oldest, count - 1, weight - entry_weight)
    if place <= #totals then
        local hour_oldest, hour, hour_weight = unpack_bytes('>I6I4I5', totals, place)
        if time > newest - HOUR then
            hour, hour_weight = hour - 1, hour_weight - entry_weight
        end
        changed = changed .. pack('>I6I4I5', hour_oldest, hour, hour_weight)
    end
    call('SET', TOTALS .. name, changed, 'KEEPTTL')
    return true
end

local acts = {}

function acts.give_back(mailbox, charge)
    local kept = call('GET', CHARGE .. charge)
    if not kept then
        return 0
    end
    -- entry, generation, fingerprint, IP
    local at, _, generation = unpack_bytes('>I6I2I4', kept)
    local entry, ip = string.sub(kept, 1, 8), string.sub(kept, 21)
    if at <= now - DAY or not take_out(mailbox, entry, generation) then
        return 0
    end
    call('DEL', CHARGE .. charge)
    if ip ~= '' then
        take_out(ip, entry, 0)
    end
    return 1
end

function acts.suspend(mailbox, by, note, cause, ...)
    local durations = {}
    for i, duration in ipairs({...}) do
        durations[i] = tonumber(duration)
    end
    local suspension = new_suspension(mailbox, cause, durations, now, by, note)
    audit(by, 'suspend', mailbox, note, detail_of(suspension))
    return 1, told(suspension)
end

function acts.lift(mailbox, by, note)
    local suspension = in_force(call('GET', SUSPENSION .. mailbox), now)
    if not suspension then
        return 0
    end
    call('DEL', SUSPENSION .. mailbox)
    call('ZREM', SUSPENDED, mailbox)
    call('ZREM', ENDS, mailbox)
    audit(by, 'lift', mailbox, note, detail_of(suspension))
    return 1
end

-- A new generation: ids that were charged before are forgotten with their counts.
function acts.reset(mailbox, by, note)
    local totals = call('GET', TOTALS .. mailbox)
    local messages, off_domain = 0, 0
    if totals then
        local newest, generation = unpack_bytes('>I6I4', totals)
        for _, entry in ipairs(call('LRANGE', HISTORY .. mailbox, 0, -1)) do
            local time, weight = unpack_bytes('>I6I2', entry)
            if time > math.max(now, newest) - DAY then
                messages, off_domain = messages + 1, off_domain + weight
            end
        end
        call('SET', TOTALS .. mailbox,
            pack('>I6I4I6I4I5I6I4I5', 0, (generation + 1) % 2 ^ 32, 0, 0, 0, 0, 0, 0), 'KEEPTTL')
        call('DEL', HISTORY .. mailbox)
    end
    audit(by, 'reset', mailbox, note,
        string.format('{"messages":%d,"off_domain":%d}', messages, off_domain))
    return 1
end

-- ends: -1 is never. What is removed or has ended is told for a day more.
function acts.adjust(subject, by, note, rule, kind, removed, value, ends)
    local field = rule .. ' ' .. kind .. ' ' .. subject
    local change = call('HINCRBY', NUMBERS, 'change', 1)
    removed, value, ends = tonumber(removed), tonumber(value), tonumber(ends)
    call('HSET', ADJUSTMENTS, field,
        cjson.encode({change, subject, rule, kind, removed, value, ends}))
    call('ZADD', CHANGES, change, field)
    if removed == 1 or ends >= 0 then
        call('ZADD', ADJUSTMENT_ENDS, (removed == 1 and now or ends) + DAY, field)
    else
        call('ZREM', ADJUSTMENT_ENDS, field)
    end
    audit(by, kind, subject, note, string.format('{"rule":"%s","value":%s}', rule,
        removed == 1 and 'null' or string.format('%d', value)))
    return 1
end

-- What of the key `name` is past its time goes, whatever its expiry says; with
-- a margin, for who asks next may have a clock that is a little behind.
local function sweep_key(name)
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
    passed(CHARGE, function(text) return unpack_bytes('>I6', text) <= now - DAY end)
    passed(DECISION, function(text)
        local outcome, place = string.match(text, '^(%a+)\n()')
        local admitted, refused = string.match(text, '^(%d+) (%d+) ', place + RECORD_BYTES)
        local was_admitted = outcome == 'admitted' or outcome == 'repeated'
        return unpack_bytes('>I6', text, place) + (was_admitted and admitted or refused) <= now
    end)
    passed(SUSPENSION, function(text) return not in_force(text, now) end)
    local emptied = passed(TOTALS, function(text)
        local length = #text == 25 and HOUR or DAY
        return unpack_bytes('>I6', text) <= now - length
    end)
    if emptied then
        call('DEL', HISTORY .. emptied)
    end
    if string.sub(name, 1, #OFFENCES) == OFFENCES then
        call('ZREMRANGEBYSCORE', name, '-inf', now - REMEMBERED)
    end
end

-- One piece of the sweep: SCAN's cursor goes in and comes out, '0' at the end.
function acts.sweep(cursor)
    local found = call('SCAN', cursor, 'MATCH', 'sg:*', 'COUNT', 500)
    for _, name in ipairs(found[2]) do
        sweep_key(name)
    end
    return 1, found[1]
end

tidy()
return {server, acts[act](unpack(ARGV, 4))}
