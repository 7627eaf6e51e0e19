-- recipients(): what a mailbox sent to each of its recipients (packed_pair.h). A hash for each mailbox
-- has a field for each recipient, 8 bytes, with PAIR_BYTES of each message. Fields that are past go
-- with the messages that follow, the whole with its expiry.

local function key_of(mailbox)
    return PAIRS .. mailbox
end

-- Moment and channel of the message behind so many others.
local function message_at(pair, place)
    local time = unpack_bytes(TIME_FORM, pair, place * PAIR_BYTES + 1)
    return time % TIMES, math.floor(time / TIMES)
end

local function newest_of(pair)
    return (message_at(pair, #pair / PAIR_BYTES - 1))
end

-- What is damaged stays.
local function is_past(pair, past)
    return #pair % PAIR_BYTES == 0 and (#pair == 0 or newest_of(pair) <= past)
end

local function whole(pair)
    if #pair % PAIR_BYTES > 0 or #pair > PAIR_MAX_BYTES then
        error({err = 'ERR what is kept of a recipient is damaged'})
    end
    return pair
end

-- What a wrong clock stamped becomes of now, or of the message before when that is later.
local function mended(pair, now)
    local count = #pair / PAIR_BYTES
    local first = count
    while first > 0 and message_at(pair, first - 1) > now + AHEAD do
        first = first - 1
    end
    if first == count then
        return pair
    end
    local moment = first > 0 and math.max(now, (message_at(pair, first - 1))) or now
    local made = {string.sub(pair, 1, first * PAIR_BYTES)}
    for place = first, count - 1 do
        local _, channel = message_at(pair, place)
        made[#made + 1] = pack(TIME_FORM, channel * TIMES + moment)
            .. string.sub(pair, place * PAIR_BYTES + TIME_BYTES + 1, (place + 1) * PAIR_BYTES)
    end
    return table.concat(made)
end

-- Without what no longer counts at `at`.
local function counted(pair, at)
    local low, high = 0, #pair / PAIR_BYTES
    while low < high do
        local middle = math.floor((low + high) / 2)
        if message_at(pair, middle) > at - PAIR_WINDOW then
            high = middle
        else
            low = middle + 1
        end
    end
    return low > 0 and string.sub(pair, low * PAIR_BYTES + 1) or pair
end

-- Calls visit(name, what is kept of it, place) for each of the names, 8 bytes each; writes what it
-- returns, if anything. `known`: what is kept of all of them, where that was read at once; returns
-- that, nil where there are more.
local function each(key, names, visit, known)
    local at_once = #names <= 8 * PAIRS_AT_ONCE
    for first = 1, #names, 8 * PAIRS_AT_ONCE do
        local some, written = {}, {}
        for at = first, math.min(first + 8 * PAIRS_AT_ONCE, #names + 1) - 1, 8 do
            some[#some + 1] = string.sub(names, at, at + 7)
        end
        local found = known or call('HMGET', key, unpack(some))
        known = at_once and found or nil
        for i, name in ipairs(some) do
            local pair = visit(name, whole(found[i] or ''), (first - 1) / 8 + i - 1)
            if pair then
                written[#written + 1], written[#written + 2] = name, pair
            end
        end
        if #written > 0 then
            call('HSET', key, unpack(written))
        end
    end
    return known
end

-- What is seen of the recipients of m: m.window, with the recipients that have no room (`over`), the
-- one that is told, and how much came by the message's own channel at most of one that is over.
local function look(m)
    local window = {over = {}, used = 0, own = 0, place = 0, fits = 0}
    local limit, channel = m.recipient_limit, m.channel
    window.known = each(key_of(m.mailbox), m.recipients, function(_, kept, place)
        local now_kept = mended(kept, m.now)
        local pair = counted(now_kept, m.at)
        local used, fits = #pair / PAIR_BYTES, 0
        if limit and used >= limit then
            local own = 0
            fits = limit == 0 and TIMES - 1 or message_at(pair, used - limit) + PAIR_WINDOW
            for i = 0, used - 1 do
                local _, by = message_at(pair, i)
                own = own + (by == channel and 1 or 0)
            end
            window.own = math.max(window.own, own)
            window.over[#window.over + 1] = pack(OVER_FORM, place, used, fits)
        end
        if fits > window.fits or fits == window.fits and used > window.used then
            window.place, window.used, window.fits = place, used, fits
        end
        return not m.dry and now_kept ~= kept and now_kept
    end)
    window.roomy = not limit or window.used < limit
        and (window.used == 0 or window.used + 1 < limit)
    return window
end

-- Some fields that are past go, more than a message adds.
local function tidy(key, added, past)
    local some = call('HRANDFIELD', key, math.min(2 * added, TIDY_PAIRS), 'WITHVALUES')
    for i = 1, #some, 2 do
        if is_past(some[i + 1], past) then
            call('HDEL', key, some[i])
        end
    end
end

-- Counts m, which `look` has seen and whose entry in the mailbox's history is given, for each of its recipients.
local function count(m, entry)
    local key, added, moves = key_of(m.mailbox), 0, false
    local identity = string.sub(entry, ENTRY_BYTES + 1, ENTRY_BYTES + ID_BYTES + FINGERPRINT_BYTES)
    each(key, m.recipients, function(_, kept)
        local pair = mended(kept, m.now)
        local newest = #pair > 0 and newest_of(pair) or 0
        local at = math.max(m.at, newest)
        added = added + (newest == 0 and 1 or 0)
        moves = moves or at - at % PAIR_SLACK ~= newest - newest % PAIR_SLACK
        pair = counted(pair, at)
        if #pair == PAIR_MAX_BYTES then
            pair = string.sub(pair, PAIR_BYTES + 1)
        end
        return pair .. pack(TIME_FORM, m.channel * TIMES + at) .. identity
    end, m.window.known)
    if added > 0 then
        tidy(key, added, m.now - PAIR_WINDOW - MARGIN)
    end
    if moves then -- as often as the expiry of a history, or of another recipient
        call('PEXPIRE', key, string.format('%d', m.at - m.now + PAIR_LIFETIME))
    end
end

-- What the window that is told holds now.
local function told(m)
    local name = string.sub(m.recipients, 8 * m.window.place + 1, 8 * m.window.place + 8)
    return counted(mended(whole(call('HGET', key_of(m.mailbox), name) or ''), m.now), m.at)
end

-- Where a message counts for its recipients: names and what they are to have.
local function find(mailbox, entry)
    local identity = string.sub(entry, ENTRY_BYTES + 1, ENTRY_BYTES + ID_BYTES + FINGERPRINT_BYTES)
    local kept, found = call('HGETALL', key_of(mailbox)), {}
    for i = 1, #kept, 2 do
        local pair = whole(kept[i + 1])
        for offset = #pair - PAIR_BYTES, 0, -PAIR_BYTES do
            if string.sub(pair, offset + TIME_BYTES + 1, offset + PAIR_BYTES) == identity then
                found[#found + 1] = kept[i]
                found[#found + 1] = string.sub(pair, 1, offset)
                    .. string.sub(pair, offset + PAIR_BYTES + 1)
                break
            end
        end
    end
    return found
end

local function put(mailbox, found)
    for i = 1, #found, 2 do
        if found[i + 1] == '' then
            call('HDEL', key_of(mailbox), found[i])
        else
            call('HSET', key_of(mailbox), found[i], found[i + 1])
        end
    end
end

local function forget(mailbox)
    call('DEL', key_of(mailbox))
end

-- Of pairs with as many messages the one that comes first, as packed_pair_most has it.
local function comes_before(pair, name, other, other_name)
    local oldest, other_oldest = message_at(pair, 0), (message_at(other, 0))
    if oldest ~= other_oldest then
        return oldest > other_oldest
    elseif newest_of(pair) ~= newest_of(other) then
        return newest_of(pair) > newest_of(other)
    end
    local high, low = unpack_bytes('>I4I4', name)
    local other_high, other_low = unpack_bytes('>I4I4', other_name)
    return high > other_high or high == other_high and low > other_low
end

-- What the mailbox sent to the one that it sent most to.
local function fullest(mailbox, now)
    local kept, most, name = call('HGETALL', key_of(mailbox)), '', nil
    for i = 1, #kept, 2 do
        local pair = #kept[i + 1] % PAIR_BYTES == 0 and counted(mended(kept[i + 1], now), now) or ''
        if #pair > #most or #pair > 0 and #pair == #most
            and comes_before(pair, kept[i], most, name) then
            most, name = pair, kept[i]
        end
    end
    return most
end

-- All fields of a key that are past go.
local function sweep(key, past)
    local kept = call('HGETALL', key)
    for i = 1, #kept, 2 do
        if is_past(kept[i + 1], past) then
            call('HDEL', key, kept[i])
        end
    end
end

return {
    look = look, count = count, told = told, find = find, put = put, forget = forget,
    fullest = fullest, sweep = sweep,
}
