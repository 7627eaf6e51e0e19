-- What programs keep for themselves, tries, and entries of the audit log that
-- are no operations on the store. A kept value is "ENDS\nVALUE", ends -1: never. An
-- operation's last arguments may be the audit entry: by, note, name, subject, 'detail', its text.
local operations = {}

-- The value under a key while it lasts, else nil.
local function value_of(kind, key)
    local text = call('GET', KEPT .. kind .. ':' .. key)
    local ends, place = string.match(text or '', '^(%-?%d+)\n()')
    ends = tonumber(ends)
    if ends and (ends < 0 or ends > now) then
        return string.sub(text, place)
    end
end

-- What has ended already is not even begun.
local function put(kind, key, ends, value)
    if ends >= 0 and ends <= now then
        drop_kept(kind, key)
        return
    end
    local name, text = KEPT .. kind .. ':' .. key, string.format('%d\n', ends) .. value
    if ends >= 0 then
        call('SET', name, text, 'PX', string.format('%d', ends - now + MARGIN))
        call('ZADD', KEPT_ENDS, ends, kind .. ' ' .. key)
    else
        call('SET', name, text)
        call('ZREM', KEPT_ENDS, kind .. ' ' .. key)
    end
    call('ZADD', KEPT_KEYS .. kind, 0, key)
end

-- when: "any"; "new": where nothing is; "over": where `before` is.
function operations.keep(kind, key, ends, value, when, before, ...)
    local kept = when ~= 'any' and value_of(kind, key)
    if when == 'new' and kept or when == 'over' and kept ~= before then
        return 0
    end
    put(kind, key, tonumber(ends), value)
    if ... then
        audit(...)
    end
    return 1
end

function operations.forget(kind, key, ...)
    if not value_of(kind, key) then
        return 0
    end
    drop_kept(kind, key)
    if ... then
        audit(...)
    end
    return 1
end

-- The value of a key of tries is their times, in order. A try is never earlier
-- than the newest, as in a history. What a wrong clock stamped does not count.
function operations.try(key, span, max)
    local times, at = {}, now
    local text = value_of(KEPT_TRIES, key) or ''
    span, max = tonumber(span), tonumber(max)
    for time in string.gmatch(text, '%d+') do
        if tonumber(time) <= now + AHEAD then
            times[#times + 1] = tonumber(time)
        end
    end
    at = math.max(at, times[#times] or 0)
    local held = {}
    for _, time in ipairs(times) do
        if time > at - span then
            held[#held + 1] = string.format('%d', time)
        end
    end
    if #held >= max then
        return 0, {#held, held[#held - max + 1] + span}
    end
    held[#held + 1] = string.format('%d', at)
    put(KEPT_TRIES, key, at + span, table.concat(held, ' '))
    return 1, {#held, 0}
end

function operations.write_audit(...)
    audit(...)
    return 1
end

tidy()
return answer(operations[operation](unpack(ARGV, 4)))
