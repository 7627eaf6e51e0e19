-- Judges and counts one message; store.h says by which steps.
--
-- ARGV: deadline; given (bytes, see below); name of the mailbox's history, which is the mailbox or has
-- a mark of its channel behind it; name of the IP's or ''; charge key;
-- decision; what its record keeps; fingerprint and IP for the charge; lifetime of
-- the record when admitted and when refused; who uses tickets adds for how many
-- recipients to leave and to redeem one, each 2 bytes, 0 for none. The usual message is one that is
-- simply admitted; whatever that one does not need is left to the other branches.
--
-- Totals of a history: newest entry, generation; then of the whole history its
-- oldest entry, messages, off-domain recipients; of a mailbox the same three of
-- its last hour. The hour's entries are the last ones of the list.
local MAILBOX_FORM, ENTRY_FORM, PAST_AT_ONCE = '>I6I4I6I4I5I6I4I5', '>I6I2', 16
local REFUSED_MAX, LOG_MAX, LOG_SLACK = 1000, 100000, 1000
local given, name, ip = ARGV[2], ARGV[3], ARGV[4]
-- Of each count the lowest number is given at which the message does not fit.
local now, weight, mode, day_end, day_weight_end, hour_end, hour_weight_end, ip_end,
    ip_weight_end, tag, place = unpack_bytes('>I6I2BI5I5I5I5I5I5c3', given)

local mailbox = mode >= 16 and string.match(name, '^(.*) %S+$') or name
local totals_name, history, charge = TOTALS .. name, HISTORY .. name, CHARGE .. ARGV[5]
local tickets, leave, redeem = TICKET .. mailbox, 0, 0
if ARGV[11] then
    leave, redeem = unpack_bytes('>I2I2', ARGV[11])
end
local ip_totals_name, ip_history = TOTALS .. ip, HISTORY .. ip
local state
if ip == '' then
    state = call('MGET', totals_name, SUSPENSION .. mailbox, charge)
else
    state = call('MGET', totals_name, SUSPENSION .. mailbox, charge, ip_totals_name)
end
local totals = state[1] or string.rep('\0', 40)
local ip_totals = state[4] or string.rep('\0', 25)
local newest, generation, oldest, day, day_weight, hour_oldest, hour, hour_weight =
    unpack_bytes(MAILBOX_FORM, totals)
local ip_newest, ip_generation, ip_oldest, ip_hour, ip_weight = unpack_bytes(TOTALS_FORM, ip_totals)
-- The entries at a list's end that a wrong clock stamped become of now, or of the entry before
-- when that is later: that moment. They lead to no decision any longer.
local function mend(list, write)
    local mended, last, PAGE = now, 0, 64
    repeat
        local entries = call('LRANGE', list, -last - PAGE, -last - 1)
        local first = #entries + 1
        while first > 1 and unpack_bytes('>I6', entries[first - 1]) > now + AHEAD do
            first = first - 1
        end
        if first > 1 then
            mended = math.max(now, (unpack_bytes('>I6', entries[first - 1])))
        end
        last = last + #entries - first + 1
    until first > 1 or #entries < PAGE
    local ahead = write and last > 0 and call('LRANGE', list, -last, -1) or {}
    for i, entry in ipairs(ahead) do
        call('LSET', list, i - last - 1,
            pack('>I6', mended) .. string.sub(entry, 7, 8) .. '\240\0\0')
    end
    return mended
end

local function mended_time(time, mended)
    return time > now + AHEAD and mended or time
end

local ahead, writes = math.max(newest, ip_newest) - now, mode % 4 < 2
if newest > now + AHEAD then
    local mended = mend(history, writes)
    newest, oldest = mended, mended_time(oldest, mended)
    hour_oldest = mended_time(hour_oldest, mended)
    totals = pack(MAILBOX_FORM, newest, generation, oldest, day, day_weight, hour_oldest, hour,
        hour_weight)
    if writes then
        call('SET', totals_name, totals, 'KEEPTTL')
    end
end
if ip_newest > now + AHEAD then
    local mended = mend(ip_history, writes)
    ip_newest, ip_oldest = mended, mended_time(ip_oldest, mended)
    ip_totals = pack(TOTALS_FORM, ip_newest, ip_generation, ip_oldest, ip_hour, ip_weight)
    if writes then
        call('SET', ip_totals_name, ip_totals, 'KEEPTTL')
    end
end
local at = now
if newest > at then
    at = newest
end
if ip_newest > at then
    at = ip_newest
end
if at > now then -- the tag's upper four bits tell how far it is to the time of the decision's id
    local number = unpack_bytes('>I3', tag)
    tag = pack('>I3', math.min(number + (at - now) * 2 ^ 20, 15 * 2 ^ 20))
end

-- Lets go of what has left a span by now: its oldest entry, messages and
-- off-domain recipients then. Nothing is written: only an admitted message moves on.
local function advance(list, length, last, first, count, total)
    local cut, step = at - length, 2
    if first > cut or count == 0 then
        return first, count, total
    end
    while last > cut and count > 0 do
        local entries = call('LRANGE', list, -count, math.min(step - count, 0) - 1)
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
if day > 0 and (oldest <= at - DAY or hour_oldest <= at - HOUR) then
    oldest, day, day_weight = advance(history, DAY, newest, oldest, day, day_weight)
    hour_oldest, hour, hour_weight =
        advance(history, HOUR, newest, hour_oldest, hour, hour_weight)
    totals = pack(MAILBOX_FORM, newest, generation, oldest, day, day_weight, hour_oldest, hour,
        hour_weight)
end
if ip_hour > 0 and ip_oldest <= at - HOUR then
    ip_oldest, ip_hour, ip_weight =
        advance(ip_history, HOUR, ip_newest, ip_oldest, ip_hour, ip_weight)
    ip_totals = pack(TOTALS_FORM, ip_newest, ip_generation, ip_oldest, ip_hour, ip_weight)
end
-- Whether it fits and leaves room for one more in every window that held others before.
local roomy = (day < day_end - 1 or day == 0 and day < day_end)
    and (day_weight < day_weight_end - 1 or day_weight == 0 and day_weight < day_weight_end)
    and (hour < hour_end - 1 or hour == 0 and hour < hour_end)
    and (hour_weight < hour_weight_end - 1 or hour_weight == 0 and hour_weight < hour_weight_end)
    and (ip_hour < ip_end - 1 or ip_hour == 0 and ip_hour < ip_end)
    and (ip_weight < ip_weight_end - 1 or ip_weight == 0 and ip_weight < ip_weight_end)

local KNOWN_MAX = 1000

-- An attempt while suspended: one that is known does nothing; what comes when as many are known
-- as are kept is counted and moves nothing.
local function count_attempt(suspension, attempt, retries)
    local tried, told = call('GET', TRIED .. mailbox) or '', attempt ~= string.rep('\0', 8)
    for i = 1, told and #tried or 0, 8 do
        if string.sub(tried, i, i + 3) == string.sub(attempt, 1, 4)
            or string.sub(tried, i + 4, i + 7) == string.sub(attempt, 5) then
            return
        end
    end
    local full = #tried >= 8 * KNOWN_MAX
    -- of an earlier version; when that moved its end, nobody knows how long it lasted first
    if suspension.until_ms and not suspension.lasts_ms and suspension.attempts < 10 then
        suspension.lasts_ms = suspension.until_ms - suspension.since_ms
    end
    suspension.attempts = suspension.attempts + 1
    if suspension.until_ms and suspension.cause == 'volume' and suspension.attempts >= retries
        and not full then
        local lasts = suspension.lasts_ms or math.min(suspension.until_ms - suspension.since_ms, DAY)
        suspension.until_ms = math.max(suspension.until_ms, now + lasts)
    end
    if told and not full then
        call('APPEND', TRIED .. mailbox, attempt)
    end
    keep_suspension(mailbox, suspension, now)
end

-- The steps before the last.
local outcome, brought, dry, lifetime = 'admitted', 0, false, ARGV[9]
local suspension, stamped_ahead
-- a ticket that ends later was left by a clock that was wrong, and stands for no message
local latest_ticket = string.format('%d', at + TICKET_TIME + AHEAD)
if mode > 0 or state[2] or state[3] or redeem > 0 or not roomy then
    local fits = day < day_end and day_weight < day_weight_end and hour < hour_end
        and hour_weight < hour_weight_end and ip_hour < ip_end and ip_weight < ip_weight_end
    local rejected, observe = mode % 2 == 1, mode % 8 >= 4
    dry = mode % 4 >= 2
    suspension, stamped_ahead = in_force(state[2], now)
    if stamped_ahead and not dry then
        keep_suspension(mailbox, suspension, now)
        call('ZADD', OFFENCES .. suspension.cause .. ':' .. mailbox, 'XX', suspension.since_ms,
            suspension.id)
    end
    if state[3] then
        local charge_at, _, charge_generation = unpack_bytes('>I6I2I4', state[3])
        if string.sub(state[3], 13, 20) == string.sub(ARGV[8], 1, 8)
            and charge_generation == generation and charge_at % REDEEMED > at - DAY then
            outcome = 'repeated'
        end
    end
    if outcome == 'admitted' and redeem > 0 and (observe or not suspension) then
        local wanted, first, PAGE, page = pack('>I2', redeem), 0, 64, nil
        repeat
            page = call('ZRANGEBYSCORE', tickets, string.format('(%d', at), latest_ticket,
                'LIMIT', first, PAGE)
            for i = 1, #page do
                if string.sub(page[i], 1, 2) == wanted and outcome == 'admitted' then
                    outcome = 'redeemed'
                    if not dry then
                        call('ZREM', tickets, page[i])
                        mark_redeemed(string.sub(page[i], 3))
                    end
                end
            end
            first = first + PAGE
        until outcome == 'redeemed' or #page < PAGE
    end
    if outcome == 'admitted' and not observe and (suspension or rejected or not fits) then
        lifetime = ARGV[10]
        local retries, attempt, last_duration, rule
        retries, attempt, last_duration, place = unpack_bytes('>I4c8B', given, place)
        if suspension then
            outcome = 'suspended'
            if not dry and mode % 16 < 8 then
                count_attempt(suspension, attempt, retries)
            end
        elseif rejected then
            outcome = 'rejected'
        else
            outcome = 'over'
            local durations = {}
            for i = 1, last_duration do
                durations[i], place = unpack_bytes('>i8', given, place)
            end
            -- the windows that suspend: which count, its end as above, name
            local counts = {day, day_weight, hour, hour_weight, ip_hour, ip_weight}
            while place <= #given and outcome == 'over' do
                local which, count_end, length = unpack_bytes('>BI5B', given, place)
                place = place + 7 + length
                if counts[which] >= count_end then
                    outcome, brought = 'suspended', 1
                    rule = string.sub(given, place - length, place - 1)
                end
            end
            if rule and not dry then
                suspension = new_suspension(mailbox, 'volume', durations, at, 'guard', rule)
                if attempt ~= string.rep('\0', 8) then -- no attempt when it is tried again
                    call('APPEND', TRIED .. mailbox, attempt)
                    keep_suspension(mailbox, suspension, at)
                end
            end
        end
    end
end

-- Appends to a history and keeps its totals. What is done now and then costs
-- less than with every message: entries that no longer count go when there are
-- some of them; that both keys expire together is moved on twelve times in a
-- length, and whenever clocks differ.
local function count_in(list, name, length, last, messages, entry, packed)
    local kept, slack = call('RPUSH', list, entry), length / 12
    if kept > messages + PAST_AT_ONCE then
        call('LTRIM', list, -messages, -1)
    end
    if kept > 1 and at == now and at - at % slack == last - last % slack then
        call('SET', name, packed, 'KEEPTTL')
    else
        local ttl = string.format('%d', at - now + length + slack + MARGIN)
        call('SET', name, packed, 'PX', ttl)
        call('PEXPIRE', list, ttl)
    end
end

-- The last step, and the record.
local entry = pack(ENTRY_FORM, at, weight)
local passes = outcome == 'admitted' or outcome == 'repeated' or outcome == 'redeemed'
if not dry then
    if outcome == 'admitted' then
        day, hour = day + 1, hour + 1
        local tagged = entry .. tag
        count_in(history, totals_name, DAY, newest, day, tagged,
            pack(MAILBOX_FORM, at, generation, day == 1 and at or oldest, day, day_weight + weight,
                hour == 1 and at or hour_oldest, hour, hour_weight + weight))
        if ip ~= '' then
            ip_hour = ip_hour + 1
            count_in(ip_history, ip_totals_name, HOUR, ip_newest, ip_hour, tagged,
                pack(TOTALS_FORM, at, ip_generation, ip_hour == 1 and at or ip_oldest, ip_hour,
                    ip_weight + weight))
        end
        call('SET', charge, entry .. string.sub(totals, 7, 10) .. ARGV[8] .. '#' .. tag, 'PX',
            at == now and '86460000' or string.format('%d', at - now + DAY + MARGIN))
        if leave > 0 then
            call('ZREMRANGEBYSCORE', tickets, '-inf', string.format('%d', at - MARGIN))
            call('ZREMRANGEBYSCORE', tickets, '(' .. latest_ticket, '+inf')
            if state[3] then -- of a submission that this one replaces
                drop_ticket(mailbox, ARGV[5])
            end
            call('ZADD', tickets, string.format('%d', at + TICKET_TIME),
                pack('>I2', leave) .. ARGV[5])
            call('PEXPIRE', tickets, string.format('%d', at - now + TICKET_TIME + MARGIN))
        end
    end
    if at > now then
        lifetime = string.format('%d', lifetime + at - now)
    end
    call('SET', DECISION .. ARGV[6], outcome .. '\n' .. entry .. totals .. ip_totals .. ARGV[7],
        'PX', lifetime)
    if call('RPUSH', LOG, ARGV[6]) > LOG_MAX + LOG_SLACK then
        call('LTRIM', LOG, -LOG_MAX, -1)
    end
    if not passes then
        if call('RPUSH', REFUSED .. mailbox, ARGV[6]) > REFUSED_MAX then
            call('LTRIM', REFUSED .. mailbox, -REFUSED_MAX, -1)
        end
        call('PEXPIRE', REFUSED .. mailbox, lifetime)
    end
end

-- Entry, totals before, this server's time: all there is to say of most messages.
local answer = entry .. totals .. ip_totals .. clock[1] .. '.' .. clock[2]
if ahead > AHEAD then
    answer = answer .. string.format(' %d', ahead)
end
local forecasts = dry or not passes or not roomy and mode % 8 < 4
if outcome == 'admitted' and not suspension and not forecasts then
    return answer
end
local entries, ip_entries = '', ''
if forecasts then
    entries = entries_of(name)
    ip_entries = ip ~= '' and entries_of(ip) or ''
end
return {answer, outcome, told(suspension), brought, entries, ip_entries}
