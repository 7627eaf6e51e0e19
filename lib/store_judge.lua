-- Judges and counts one message; store.h says by which steps.
--
-- ARGV: deadline, given (bytes, see below), mailbox, IP or '', charge key,
-- decision, format of the windows' counts, facts. Answers with bytes: which
-- windows are over (bits), this server's time, the moment, the counts before.
-- Whatever is not simply admitted answers with an array that begins with them.
--
-- Totals of a history: newest entry, generation; then for the whole history
-- oldest entry, messages, off-domain recipients; for a mailbox the same three
-- of its last hour. An hour's entries are the last ones of the list.
local TOTALS_FORM, SPAN_FORM, ENTRY_FORM = '>I6I4I6I4I5', '>I6I4I5', '>I6I2'
local given, mailbox, ip = ARGV[2], ARGV[3], ARGV[4]
local now, weight, held, dry, observe, fingerprint, keep, windows, place =
    unpack_bytes('>I6I2BBBc8I6B', given)

local state
if ip == '' then
    state = call('MGET', TOTALS .. mailbox, SUSPENSION .. mailbox, CHARGE .. ARGV[5])
else
    state = call('MGET', TOTALS .. mailbox, SUSPENSION .. mailbox, CHARGE .. ARGV[5], TOTALS .. ip)
end
local newest, generation, oldest, day, day_weight = 0, 0, 0, 0, 0
local hour_oldest, hour, hour_weight = 0, 0, 0
local ip_newest, ip_generation, ip_oldest, ip_hour, ip_weight = 0, 0, 0, 0, 0
if state[1] then
    newest, generation, oldest, day, day_weight, hour_oldest, hour, hour_weight =
        unpack_bytes('>I6I4I6I4I5I6I4I5', state[1])
end
if state[4] then
    ip_newest, ip_generation, ip_oldest, ip_hour, ip_weight = unpack_bytes(TOTALS_FORM, state[4])
end
local at = math.max(now, newest, ip_newest)

-- Lets go of what has left a span by now: its oldest entry, messages and
-- off-domain recipients then. Nothing is written: only an admitted message moves on.
local function advance(name, length, last, first, count, total)
    local cut, step = at - length, 2
    if count == 0 or first > cut then
        return first, count, total
    end
    while last > cut and count > 0 do
        local entries = call('LRANGE', HISTORY .. name, -count, math.min(step - count, 0) - 1)
        for i = 1, #entries do
            local time, entry_weight = unpack_bytes(ENTRY_FORM, entries[i])
            if time > cut then
                return time, count, total
            end
            count, total = count - 1, total - entry_weight
        end
        if #entries == 0 then
            break
        end
        step = math.min(step * 4, 128)
    end
    return 0, 0, 0
end
oldest, day, day_weight = advance(mailbox, DAY, newest, oldest, day, day_weight)
hour_oldest, hour, hour_weight = advance(mailbox, HOUR, newest, hour_oldest, hour, hour_weight)
ip_oldest, ip_hour, ip_weight = advance(ip, HOUR, ip_newest, ip_oldest, ip_hour, ip_weight)

-- A window names its count by place; odd ones count messages, 0 is not checked.
local counts = {day, day_weight, hour, hour_weight, ip_hour, ip_weight}
local used, over, bringing = {}, 0, nil
for i = 1, windows do
    local which, suspends, limit
    which, suspends, limit, place = unpack_bytes('>BBi4', given, place)
    local count, cost = counts[which] or 0, which % 2 == 1 and 1 or weight
    used[i] = count
    if which > 0 and limit >= 0 and count + cost > limit then
        over = over + 2 ^ (i - 1)
        if suspends == 1 and cost <= limit then
            bringing = bringing or i
        end
    end
end

-- The steps before the last.
local outcome, brought = 'admitted', 0
local suspension = state[2] and in_force(state[2], now)
if state[3] then
    local charge_at, charge_generation, charge_fingerprint = unpack_bytes('>I6I4c8', state[3])
    if charge_fingerprint == fingerprint and charge_generation == generation and charge_at > at - DAY then
        outcome = 'repeated'
    end
end
if outcome == 'admitted' and observe == 0 and (suspension or held == 1 or over > 0) then
    local retries, restart
    keep, retries, restart, place = unpack_bytes('>I6I4I6', given, place)
    if suspension then
        outcome = 'suspended'
        if dry == 0 then
            suspension.attempts = suspension.attempts + 1
            if suspension.until_ms and suspension.attempts >= retries then
                suspension.until_ms = math.max(suspension.until_ms, now + restart)
            end
            keep_suspension(mailbox, suspension, now)
        end
    elseif held == 1 then
        outcome = 'held'
    elseif bringing then
        outcome, brought = 'suspended', 1
        local durations, rules = {}, {}
        while place <= #given do
            durations[#durations + 1], place = unpack_bytes('>i8', given, place)
        end
        for rule in string.gmatch(ARGV[7], '([^ =]+)=') do
            rules[#rules + 1] = rule
        end
        suspension =
            new_suspension(mailbox, 'volume', durations, at, 'guard', rules[bringing], dry == 1)
    else
        outcome = 'over'
    end
end

-- The last step, and the record.
if dry == 0 and outcome == 'admitted' then
    local entry, ttl = pack(ENTRY_FORM, at, weight), at - now + DAY + MARGIN
    day, day_weight, hour, hour_weight = day + 1, day_weight + weight, hour + 1, hour_weight + weight
    if call('RPUSH', HISTORY .. mailbox, entry) > day then
        call('LTRIM', HISTORY .. mailbox, -day, -1)
    end
    call('PEXPIRE', HISTORY .. mailbox, ttl)
    call('SET', TOTALS .. mailbox,
        pack('>I6I4I6I4I5I6I4I5', at, generation, day == 1 and at or oldest, day, day_weight,
            hour == 1 and at or hour_oldest, hour, hour_weight), 'PX', ttl)
    if ip ~= '' then
        ip_hour, ip_weight = ip_hour + 1, ip_weight + weight
        local ip_ttl = at - now + HOUR + MARGIN
        if call('RPUSH', HISTORY .. ip, entry) > ip_hour then
            call('LTRIM', HISTORY .. ip, -ip_hour, -1)
        end
        call('PEXPIRE', HISTORY .. ip, ip_ttl)
        call('SET', TOTALS .. ip,
            pack(TOTALS_FORM, at, ip_generation, ip_hour == 1 and at or ip_oldest, ip_hour, ip_weight),
            'PX', ip_ttl)
    end
    call('SET', CHARGE .. ARGV[5],
        pack('>I6I4c8I2', at, generation, fingerprint, weight) .. ip, 'PX', ttl)
end
if dry == 0 then
    call('SET', DECISION .. ARGV[6],
        outcome .. ' ' .. at .. ' ' .. at + keep .. '\n' ..
        string.format(ARGV[7], unpack(used)) .. '\n' .. ARGV[8], 'PX', at - now + keep + MARGIN)
end

local answer = pack('>BI7I6', over, server, at) .. pack('>' .. string.rep('I6', windows), unpack(used))
if outcome == 'admitted' and dry == 0 and not suspension then
    return answer
end
local mailbox_history, ip_history = '', ''
if dry == 1 or (outcome ~= 'admitted' and outcome ~= 'repeated') then
    mailbox_history = table.concat(call('LRANGE', HISTORY .. mailbox, 0, -1))
    ip_history = ip ~= '' and table.concat(call('LRANGE', HISTORY .. ip, 0, -1)) or ''
end
return {answer, outcome, told(suspension), brought, mailbox_history, ip_history}
