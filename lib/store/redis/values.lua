-- Versioned values, changed several at once, and refunds with them. A value is its version and its
-- end (0: never), VALUE_FORM, and behind them its bytes.
--
-- ARGV: deadline, operation, now; the version of a value that comes where none is, how many changes
-- there are; of each change kind, key, the version that it replaces (-1: any), end and bytes (none:
-- it is removed); of each refund what refunds().refund needs. The answer tells the versions, then
-- of each refund whether it was made; or, with 0, which change found another version, from 0.
local first, count = tonumber(ARGV[4]), tonumber(ARGV[5])
local listed = {[KIND_CURSOR] = true, [KIND_OPEN] = true}
local told = {}

local function change_at(i)
    local place = 5 * i + 1
    return ARGV[place], ARGV[place + 1], tonumber(ARGV[place + 2]), tonumber(ARGV[place + 3]),
        ARGV[place + 4]
end

-- The version of a value, 0 where there is none.
local function version_of(name)
    local head = call('GETRANGE', name, 0, VALUE_HEAD_BYTES - 1)
    if #head < VALUE_HEAD_BYTES then
        return 0
    end
    local version, ends = unpack_bytes(VALUE_FORM, head)
    return (ends == 0 or ends > now) and version or 0
end

local function drop(kind, key)
    call('DEL', VALUE .. kind .. ':' .. key)
    if listed[kind] then
        call('ZREM', VALUE_KEYS .. kind, key)
        call('ZREM', VALUE_ENDS, kind .. ' ' .. key)
    end
end

local function put(kind, key, ends, text)
    local name = VALUE .. kind .. ':' .. key
    if ends > 0 then
        call('SET', name, text, 'PX', string.format('%d', ends - now + MARGIN))
    else
        call('SET', name, text)
    end
    if listed[kind] then
        call('ZADD', VALUE_KEYS .. kind, 0, key)
        if ends > 0 then
            call('ZADD', VALUE_ENDS, ends, kind .. ' ' .. key)
        else
            call('ZREM', VALUE_ENDS, kind .. ' ' .. key)
        end
    end
end

-- The index has no expiry of its own: what it still names is dropped here, more than comes.
local function tidy_index()
    for _, field in ipairs(call('ZRANGEBYSCORE', VALUE_ENDS, '-inf', now - MARGIN, 'LIMIT', 0,
        TIDY_AT_ONCE + count)) do
        drop(string.match(field, '^(%a+) (.*)$'))
    end
end

-- All versions are looked at before anything is written.
for i = 1, count do
    local kind, key, replaces = change_at(i)
    told[i] = version_of(VALUE .. kind .. ':' .. key)
    if replaces >= 0 and replaces ~= told[i] then
        return answer(0, i - 1)
    end
end
tidy_index()
-- Before the values: a refund that fails, of a damaged history, is found again with the next try.
for i = 6 + 5 * count, #ARGV, 3 do
    told[#told + 1] = refunds().refund(ARGV[i], ARGV[i + 1], ARGV[i + 2], now)
end
for i = 1, count do
    local kind, key, _, ends, bytes = change_at(i)
    if bytes == '' then
        drop(kind, key)
        told[i] = 0
    else
        told[i] = told[i] == 0 and first or told[i] % LAST_VERSION + 1
        put(kind, key, ends, pack(VALUE_FORM, told[i], ends) .. bytes)
    end
end
return answer(1, told)
