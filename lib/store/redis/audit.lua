-- What the scripts that write beside judging begin with: the audit log, and keeping indexes tidy.
-- ARGV: deadline, operation, now, then what the operation needs. They answer with an array: this
-- server's time, 1 or 0, and what the operation has to tell.
local operation, now = ARGV[2], tonumber(ARGV[3])

-- as: 'detail' for a text, 'seen' for numbers that redis_audit.c makes it of.
local function audit(by, note, name, subject, as, value)
    local number = call('HINCRBY', NUMBERS, 'audit', 1)
    call('XADD', AUDIT, number .. '-0', 'at_ms', now, 'by', by, 'act', name,
        'subject', subject, 'note', note, as, value)
    call('RPUSH', AUDIT_OF .. subject, number)
end

-- Entries of earlier versions are in no index by subject: once, all are put there.
local function index_log()
    for _, entry in ipairs(call('XRANGE', AUDIT, '-', '+')) do
        call('RPUSH', AUDIT_OF .. entry[2][8], string.match(entry[1], '^%d+'))
    end
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

-- What finds that there is nothing to change may rest on what another call has changed: where
-- replicas are waited for, they have to have that. From Redis 7.2 on a WAIT is for what its own
-- connection wrote, so something is written that changes nothing.
local function answer(done, told)
    if done == 0 then
        call('HINCRBY', NUMBERS, 'audit', 0)
    end
    return {server, done, told}
end
