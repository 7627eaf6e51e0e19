-- Reading. ARGV: deadline, operation, then what it needs. Answers as action.lua.
-- Writes nothing: what has ended is passed over.
local operations = {}

-- As answers, those that hold of a mailbox.
local function suspensions_of(mailbox, now)
    local kept = suspensions().read(call('GET', SUSPENSION .. mailbox))
    return suspensions().told_all((suspensions().in_force(kept, tonumber(now))))
end

-- The moment that a history is seen at, and its entries.
local function history_of(key, now)
    local text = histories().read(key, false)
    local newest = text and histories().newest_of(key, text) or 0
    if newest > now + AHEAD then
        newest = 0
    end
    return math.max(tonumber(now), newest), text and histories().entries_of(key, text) or ''
end

function operations.history(key, now)
    return {history_of(key, now)}
end

-- The same of the recipient that a mailbox sent most to.
function operations.recipient(mailbox, now)
    return {tonumber(now), recipients().fullest(mailbox, tonumber(now))}
end

-- As operations.history, with the suspensions.
function operations.account(mailbox, now)
    local at, entries = history_of(MAILBOX_KEY .. mailbox, now)
    return {at, entries, suspensions_of(mailbox, now)}
end

-- The mailboxes after `after` in order of name, each with its suspensions.
function operations.suspended(after, now, max)
    local found = {}
    max = tonumber(max)
    while #found < 2 * max do
        local names = call('ZRANGEBYLEX', SUSPENDED, after == '' and '-' or '(' .. after, '+',
            'LIMIT', 0, PAGE)
        for _, name in ipairs(names) do
            local held = #found < 2 * max and suspensions_of(name, now)
            if held and #held > 0 then
                found[#found + 1], found[#found + 2] = name, held
            end
        end
        if #names < PAGE then
            break
        end
        after = names[PAGE]
    end
    return found
end

function operations.offences(mailbox, cause, now)
    return suspensions().offences_of(mailbox, cause, tonumber(now))
end

-- The changes after number `after`, each the array that action.lua kept.
function operations.adjustments(after, max)
    local found = {}
    for i, field in ipairs(call('ZRANGEBYSCORE', CHANGES,
        '(' .. after, '+inf', 'LIMIT', 0, max)) do
        found[i] = cjson.decode(call('HGET', ADJUSTMENTS, field))
    end
    return found
end

-- Of each id, its millisecond and its number, the record, false where there is none. The version
-- before kept them by the id in base 16.
function operations.records(...)
    local given, found, stamp, known = {...}, {}, nil, nil
    for i = 1, #given, 2 do
        if given[i] ~= stamp then
            stamp, known = given[i], records().all_of(given[i])
        end
        local number = unpack_bytes(NUMBER_FORM, given[i + 1])
        found[#found + 1] = known[given[i + 1]] or call('GET', EARLIER_DECISION
            .. string.format('0%010x%05x', given[i] - DECISION_EPOCH, number))
    end
    return found
end

-- Ids of a mailbox's refused messages; then of each history its moment and entries.
function operations.ids(mailbox, now, ...)
    local found = {call('LRANGE', REFUSED_OF .. mailbox, 0, -1)}
    for _, key in ipairs({...}) do
        found[#found + 1], found[#found + 2] = history_of(key, now)
    end
    return found
end

-- Of each stream the `count` newest ids up to that millisecond, as the list of a mailbox's refused
-- messages has them.
function operations.newest(from, count)
    local found = {}
    for _, kind in ipairs({ADMITTED, REFUSED}) do
        for place = 1, records().stream_count() do
            local name = records().stream_of(kind, place)
            local ids = call('XREVRANGE', name, from, '-', 'COUNT', count)
            for i = 1, #ids do
                ids[i] = pack(SINCE_FORM, records().milliseconds_of(ids[i][1]) - DECISION_EPOCH)
                    .. ids[i][2][1]
            end
            found[#found + 1] = table.concat(ids)
        end
    end
    return found
end

-- Of each stream of messages that passed, the `count` oldest from that millisecond on: each id as
-- operations.newest has it, and its record.
function operations.passed(from, count)
    local found = {}
    for place = 1, records().stream_count() do
        local told = {}
        for _, entry in ipairs(call('XRANGE', records().stream_of(ADMITTED, place), from, '+',
            'COUNT', count)) do
            told[#told + 1] = pack(SINCE_FORM, records().milliseconds_of(entry[1]) - DECISION_EPOCH)
                .. entry[2][1]
            told[#told + 1] = entry[2][2]
        end
        found[place] = told
    end
    return found
end

-- What the version before kept: about `want` ids of all mailboxes before the id `from`, in order of
-- judging. That is the order of ids but for what ran side by side and for clocks that differed, so
-- neighbours on both sides come along. Before them: whether nothing lies beyond.
function operations.log(from, want)
    local function milliseconds(id)
        return tonumber(string.sub(id, 1, EARLIER_ID_TIME_DIGITS), 16)
    end
    local low, high, at = 0, call('LLEN', EARLIER_LOG), milliseconds(from)
    while low < high do
        local middle = math.floor((low + high) / 2)
        if milliseconds(call('LINDEX', EARLIER_LOG, middle)) < at then
            low = middle + 1
        else
            high = middle
        end
    end
    local first = math.max(low - NEIGHBOURS - want, 0)
    local ids = call('LRANGE', EARLIER_LOG, first, low + NEIGHBOURS)
    return {first == 0 and 1 or 0, table.concat(ids)}
end

function operations.audit(from, max)
    return call('XRANGE', AUDIT, from .. '-0', '+', 'COUNT', max)
end

-- Downwards from number `last`.
function operations.audit_newest(last, max)
    return call('XREVRANGE', AUDIT, last .. '-0', '-', 'COUNT', max)
end

-- The same of one subject, below number `before`.
function operations.audit_of(subject, before, max)
    local name, found = AUDIT_OF .. subject, {}
    local low, high = 0, call('LLEN', name)
    before, max = tonumber(before), tonumber(max)
    while low < high do
        local middle = math.floor((low + high) / 2)
        if tonumber(call('LINDEX', name, middle)) < before then
            low = middle + 1
        else
            high = middle
        end
    end
    while low > 0 and #found < max do
        low = low - 1
        local number = call('LINDEX', name, low) .. '-0'
        found[#found + 1] = call('XRANGE', AUDIT, number, number)[1]
    end
    return found
end

-- "ENDS\nVALUE", whether it has ended or not.
function operations.kept(kind, key)
    return call('GET', KEPT .. kind .. ':' .. key)
end

-- Key and "ENDS\nVALUE" of what lasts, in order of keys.
function operations.kept_list(kind, after, now, max)
    local found = {}
    now, max = tonumber(now), tonumber(max)
    repeat
        local keys = call('ZRANGEBYLEX', KEPT_KEYS .. kind, after == '' and '-' or '(' .. after,
            '+', 'LIMIT', 0, PAGE)
        for _, key in ipairs(keys) do
            local text = #found < 2 * max and call('GET', KEPT .. kind .. ':' .. key)
            local ends = tonumber(text and string.match(text, '^(%-?%d+)\n'))
            if ends and (ends < 0 or ends > now) then
                found[#found + 1], found[#found + 2] = key, text
            end
        end
        after = keys[PAGE]
    until not after or #found >= 2 * max
    return found
end

-- Of each name the value, whether it has ended or not, false where there is none.
function operations.values(...)
    return call('MGET', ...)
end

-- Key and value of what lasts, in order of keys.
function operations.value_list(kind, after, now, max)
    local found = {}
    now, max = tonumber(now), tonumber(max)
    repeat
        local keys = call('ZRANGEBYLEX', VALUE_KEYS .. kind, after == '' and '-' or '(' .. after,
            '+', 'LIMIT', 0, PAGE)
        for _, key in ipairs(keys) do
            local text = #found < 2 * max and call('GET', VALUE .. kind .. ':' .. key)
            local _, ends = unpack_bytes(VALUE_FORM, text or VALUE_OF_NONE)
            if text and (ends == 0 or ends > now) then
                found[#found + 1], found[#found + 2] = key, text
            end
        end
        after = keys[PAGE]
    until not after or #found >= 2 * max
    return found
end

-- The mailboxes seen since `since`, each with its moment; the latest SENDERS_MAX.
function operations.senders(set, key, since)
    return call('ZREVRANGEBYSCORE', (set == 'ip' and FROM or OF) .. key, '+inf', '(' .. since,
        'WITHSCORES', 'LIMIT', 0, SENDERS_MAX)
end

-- Rule, key, moment, the newest first; given are the rules with their lengths.
function operations.near(now, max, ...)
    local lengths, found, first = {}, {}, 0
    local given, page = {...}, nil
    now, max = tonumber(now), tonumber(max)
    for i = 1, #given, 2 do
        lengths[given[i]] = tonumber(given[i + 1])
    end
    repeat
        page = call('ZREVRANGEBYSCORE', NEAR, '+inf', '(' .. now - LONGEST, 'WITHSCORES', 'LIMIT',
            first, PAGE)
        for i = 1, #page, 2 do
            local rule, key = string.match(page[i], '^(%S+) (.*)$')
            local length = lengths[rule]
            if length and page[i + 1] + 0 > now - length and #found < 3 * max then
                found[#found + 1], found[#found + 2], found[#found + 3] = rule, key, page[i + 1]
            end
        end
        first = first + PAGE
    until #page < 2 * PAGE or #found >= 3 * max
    return found
end

function operations.counters()
    return call('HGETALL', COUNTERS)
end

return {server, 1, operations[ARGV[2]](unpack(ARGV, 3))}
