-- What the scripts that write beside judging begin with, after common.lua:
-- the audit log, and keeping indexes tidy. ARGV: deadline, operation, now, then what
-- the operation needs. They answer with an array: this server's time, 1 or 0, and what
-- the operation has to tell.
local operation, now = ARGV[2], tonumber(ARGV[3])
local ADJUSTMENTS = 'sg:adjustments'
local CHANGES, ADJUSTMENT_ENDS = 'sg:adjustments:changes', 'sg:adjustments:ends'
local AUDIT, AUDIT_OF = 'sg:audit', 'sg:audit:'
local TIDY_AT_ONCE = 32

local function audit(by, note, name, subject, detail)
    local number = call('HINCRBY', NUMBERS, 'audit', 1)
    call('XADD', AUDIT, number .. '-0', 'at_ms', now, 'by', by, 'act', name,
        'subject', subject, 'note', note, 'detail', detail)
    call('RPUSH', AUDIT_OF .. subject, number)
end

-- Entries of earlier versions are in no index by subject: once, all are put there.
local function index_log()
    for _, entry in ipairs(call('XRANGE', AUDIT, '-', '+')) do
        call('RPUSH', AUDIT_OF .. entry[2][8], string.match(entry[1], '^%d+'))
    end
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
    if not suspension then
        return 'null'
    end
    return string.format('{"id":%d,"cause":"%s","since":"%s","until":%s,"attempts":%d}',
        suspension.id, suspension.cause, moment(suspension.since_ms),
        suspension.until_ms and '"' .. moment(suspension.until_ms) .. '"' or 'null',
        suspension.attempts)
end

-- Ends what is kept under a key.
local function drop_kept(kind, key)
    call('DEL', KEPT .. kind .. ':' .. key)
    call('ZREM', KEPT_KEYS .. kind, key)
    call('ZREM', KEPT_ENDS, kind .. ' ' .. key)
end

-- Indexes have no expiry of their own: what they still name is dropped here.
local function tidy()
    if call('HSETNX', NUMBERS, 'trail_is_indexed', 1) == 1 then
        index_log()
    end
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
    for _, field in ipairs(
        call('ZRANGEBYSCORE', KEPT_ENDS, '-inf', now - MARGIN, 'LIMIT', 0, TIDY_AT_ONCE)) do
        drop_kept(string.match(field, '^(%a+) (.*)$'))
    end
end
