-- Versioned values, changed several at once, and refunds with them. A value is its version and its
-- end (0: never), VALUE_FORM, and behind them its bytes.
--
-- ARGV: deadline, operation, now; the version of a value that comes where none is; how many changes,
-- refunds and suspensions there are; of each change the value's key in Redis; of each change the
-- version that it replaces ('': any), the value ('': it is removed) with the version that it then
-- has, for how long it is kept ('': always), and, of a kind that is listed, the kind (else ''); of
-- each refund what refunds().find needs; of each suspension what suspend needs; entries of the audit
-- log. The answer tells the versions, then of each refund whether it was made (-1: what is kept is
-- damaged, and stays); or, with 0, which change found another version, from 0.
local first, count, told = tonumber(ARGV[4]), tonumber(ARGV[5]), {}
local refund_count, suspension_count = tonumber(ARGV[6]), tonumber(ARGV[7])
local names_end = 7 + count
local changes_end = names_end + 4 * count
local refunds_end = changes_end + 3 * refund_count

-- The index of a kind has no expiry of its own.
local function forget(kind, key)
    call('ZREM', VALUE_KEYS .. kind, key)
    call('ZREM', VALUE_ENDS, kind .. ' ' .. key)
end

local function list(kind, key, text)
    local _, ends = unpack_bytes(VALUE_FORM, text)
    call('ZADD', VALUE_KEYS .. kind, 0, key)
    if ends > 0 then
        call('ZADD', VALUE_ENDS, ends, kind .. ' ' .. key)
    else
        call('ZREM', VALUE_ENDS, kind .. ' ' .. key)
    end
end

-- What an index still names, and has ended, goes: more than comes.
local function tidy_index()
    for _, field in ipairs(call('ZRANGEBYSCORE', VALUE_ENDS, '-inf', now - MARGIN, 'LIMIT', 0,
        TIDY_AT_ONCE + count)) do
        local kind, key = string.match(field, '^(%a+) (.*)$')
        call('DEL', VALUE .. kind .. ':' .. key)
        forget(kind, key)
    end
end

-- The version of a value, 0 where there is none.
local function version_of(text)
    if not text then
        return 0
    end
    local version, ends = unpack_bytes(VALUE_FORM, text)
    return (ends == 0 or ends > now) and version or 0
end

-- All versions are looked at before anything is written; PAGE at once, since a call costs more than
-- a value of the usual size, and all values at once may be long.
for place = 8, names_end, PAGE do
    local page = call('MGET', unpack(ARGV, place, math.min(place + PAGE - 1, names_end)))
    for i = 1, #page do
        local replaces, version = ARGV[names_end + 4 * #told + 1], version_of(page[i])
        if replaces ~= '' and replaces + 0 ~= version then
            return answer(0, #told)
        end
        told[#told + 1] = version
    end
end
-- Goes through the suspensions. Returns the place behind them.
local function suspend_all(look)
    local place, _ = refunds_end + 1
    for _ = 1, suspension_count do
        _, place = suspend(place, look)
    end
    return place
end

suspend_all(true)
tidy_index()
-- One that fails has changed nothing, and costs the others nothing.
for place = changes_end + 1, refunds_end, 3 do
    local refunding = refunds()
    local good, charge =
        pcall(refunding.find, ARGV[place], ARGV[place + 1], ARGV[place + 2], now)
    told[#told + 1] = not good and -1 or charge and refunding.take_out(charge) or 0
end
for i = 1, count do
    local name, place = ARGV[7 + i], names_end + 4 * i - 3
    local text, kept_for, kind = ARGV[place + 1], ARGV[place + 2], ARGV[place + 3]
    local key = kind ~= '' and string.sub(name, #VALUE + #kind + 2)
    if text == '' then
        told[i] = 0
        call('DEL', name)
        if key then
            forget(kind, key)
        end
    else
        told[i] = told[i] == 0 and first or told[i] % LAST_VERSION + 1
        if ARGV[place] == '' then
            text = pack(VERSION_FORM, told[i]) .. string.sub(text, VERSION_BYTES + 1)
        end
        if kept_for == '' then
            call('SET', name, text)
        else
            call('SET', name, text, 'PX', kept_for)
        end
        if key then
            list(kind, key, text)
        end
    end
end
for place = suspend_all(false), #ARGV, 6 do
    audit(unpack(ARGV, place, place + 5))
end
return answer(1, told)
