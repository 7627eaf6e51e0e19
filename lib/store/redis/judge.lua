-- Judges and counts messages; store.h says by which steps. `load` reads what the judgement depends
-- on, `decide` takes the steps of lib/rules/outcome.c, `apply` writes.
--
-- ARGV: deadline; then of each message one argument, bytes as redis_judge.c packs them: GIVEN_FORM,
-- and behind it what is needed of a message that is not simply admitted (particular.lua). The
-- answer has this server's time and an element for each message; an error costs that message alone.
--
-- A message's totals are local variables, MAILBOX_TOTALS, IP_TOTALS and
-- DOMAIN_TOTALS, and so are the numbers that
-- the counts may not reach, ALL_ENDS, and what it adds to the shares, ALL_ADDED: redis_script.c
-- writes what is done with each. A table, or a variable that a function has from outside, costs
-- more than most of what is done, so there are few; what the usual message, one that is simply
-- admitted, does not need is in other files.
local sub, find, byte, protected_call = string.sub, string.find, string.byte, redis.pcall
-- where a record was late: which stream takes those of its kind, and from when on
local streams = {[ADMITTED] = ADMITTED, [REFUSED] = REFUSED}
local floors = {[ADMITTED] = 0, [REFUSED] = 0}

-- Adds the record to its kind's stream; returns the millisecond that its id begins with.
local function keep_record(kind, stamp, stamp_id, now, number, record)
    local floor = floors[kind]
    if stamp >= floor and floor <= now + AHEAD then
        local added = protected_call('XADD', streams[kind], stamp_id, number, record)
        if not added.err then
            return stamp
        end
    end
    return records().add_late(streams, floors, kind, stamp, now, number, record)
end

-- Appends an entry to a history and sets its totals. `kept`: bytes of entries that are there,
-- `counted`: of those that count; the others go when they are many. The expiry is moved on twelve
-- times in a length, and whenever clocks differ.
local function append(key, text, kept, counted, entry, totals, now, at, newest, slack, lifetime)
    local first = kept > counted + PAST_AT_ONCE and kept - counted + 1 or 1
    if kept == 0 or first > 1 then
        text = sub(text, first, kept) .. entry .. totals
        call('SET', key, text, 'PX', at - now + lifetime)
        return
    end
    call('SETRANGE', key, kept, entry .. totals)
    if at > now or at - at % slack ~= newest - newest % slack then
        call('PEXPIRE', key, at - now + lifetime)
    end
end

-- An entry for another moment than the message's own or another millisecond of the decision's id.
local function stamped(entry, at, stamp, number)
    local time, later = unpack_bytes(TIME_FORM, entry), stamp - at + NEAR_TIME
    local tag = later > 0 and later < 2 * NEAR_TIME
        and later * NUMBERS_END + unpack_bytes(NUMBER_FORM, number) or 0
    return pack(TIME_FORM, time - time % TIMES + at) .. sub(entry, TIME_BYTES + 1, -TAG_BYTES - 1)
        .. pack(TAG_FORM, tag)
end

-- Where no block or no profile is wanted, the suspension is asked for again.
local function load(key, suspension_key, block_key, own_block_key, ip_key, group_key, profile_key)
    local third, fourth, state = block_key ~= '' and block_key or suspension_key,
        profile_key ~= '' and profile_key or suspension_key
    if ip_key ~= '' then
        state = call('MGET', key, suspension_key, third, fourth, ip_key)
    elseif fourth == profile_key then
        state = call('MGET', key, suspension_key, third, fourth)
    else
        state = call('MGET', key, suspension_key, third)
    end
    return state[1] or MAILBOX_EMPTY, state[2], block_key ~= '' and state[3],
        own_block_key ~= '' and call('GET', own_block_key), state[5] or IP_EMPTY,
        group_key ~= '' and call('GET', group_key) or DOMAIN_EMPTY, state[4]
end

-- The day behind a hash that ends before that place.
local function day_at(profile, place)
    local upper, lower = byte(profile, place, place + 1)
    return upper * 256 + lower
end

-- Where a message leaves the profile of its mailbox as it is, since all its recipients and its network
-- are known, and were kept as known within a week: the oldest day of these; else false.
local function is_usual(profile, now, at, network, names)
    if not profile or #profile < VALUE_HEAD_BYTES + PROFILE_TAIL_BYTES then
        return false
    end
    local _, ends = unpack_bytes(VALUE_FORM, profile)
    local bytes, format =
        unpack_bytes(PROFILE_TAIL_FORM, profile, #profile - PROFILE_TAIL_BYTES + 1)
    local head, today, place, day = #profile - bytes + 1, math.floor(at / DAY)
    local oldest = today
    if ends <= now or format ~= PROFILE_FORMAT then
        return false
    end
    for i = 1, #names, PROFILE_HASH_BYTES do
        local name = sub(names, i, i + PROFILE_HASH_BYTES - 1)
        place = find(profile, name, VALUE_HEAD_BYTES + 1, true)
        while place and (place - VALUE_HEAD_BYTES - 1) % PROFILE_RECIPIENT_BYTES > 0 do
            place = find(profile, name, place + 1, true)
        end
        if not place or place >= head then
            return false
        end
        day = day_at(profile, place + PROFILE_HASH_BYTES)
        if day <= today - PROFILE_RENEW_DAYS or day > today + 1 then
            return false
        elseif day < oldest then
            oldest = day
        end
    end
    if network == '' then
        return oldest
    end
    place = find(profile, network, head + 1, true)
    if not place or (place - head - 1) % PROFILE_NETWORK_BYTES > 0
        or place > head + PROFILE_NETWORK_BYTES * byte(profile, head) then
        return false
    end
    day = day_at(profile, place + PROFILE_NETWORK_BYTES - 2)
    return day > today - PROFILE_RENEW_DAYS and day <= today + 1 and math.min(day, oldest)
end

local told_of_none = VALUE_OF_NONE .. VALUE_OF_NONE .. pack(PROFILE_DAY_OF_FORM, 0)

-- Looks at the profile of a message that would be counted. Returns what is unusual, '' for nothing; what
-- keeps that; what becomes of the message; and what is told of the profile. `usual_in`: in that
-- state of it the message changes nothing, and it was not read; '': in none that is known.
local function look_at_profile(key, profile, usual_in, now, at, network, names, terms, number)
    if usual_in ~= '' then
        if at == now and call('GETRANGE', key, 0, VALUE_HEAD_BYTES - 1) == usual_in then
            return '', nil, ACTION_NOTE, told_of_none
        end
        profile = call('GET', key)
    end
    local oldest, state = is_usual(profile, now, at, network, names)
    local bytes, keep, action, same_until = '', nil, ACTION_NOTE
    if oldest then
        state, same_until = sub(profile, 1, VALUE_HEAD_BYTES), oldest + PROFILE_RENEW_DAYS
    else
        bytes, keep, action, state, same_until =
            profiles().add(key, profile, now, at, network, names, terms, number)
    end
    if not state or at > now then
        return bytes, keep, action, told_of_none
    end
    local before = profile and #profile >= VALUE_HEAD_BYTES and sub(profile, 1, VALUE_HEAD_BYTES)
    return bytes, keep, action, (before or VALUE_OF_NONE) .. state
        .. pack(PROFILE_DAY_OF_FORM, same_until)
end

local function judge(given)
    -- load
    local now, sent, mode, asked, entry, ip_entry, id, number, record_head, ALL_ENDS, ALL_ADDED,
        key, suspension_key, block_key, own_block_key, ip_key, group_key, stamp_id, tail, profile_key,
        profile_usual_in, profile_network, profile_terms, profile_names, place =
        unpack_bytes(GIVEN_FORM, given)
    local at, ahead, stamp, m, kind, counts = sent, 0, asked, nil, ADMITTED, true
    local unusual_bytes, told_of_profile, keep_profile, action = '', told_of_none
    local text, suspended, block, own_block, network, group, profile =
        load(key, suspension_key, block_key, own_block_key, ip_key, group_key,
            profile_usual_in == '' and profile_key or '')
    if mode >= MODE_EARLIER then
        text, network =
            particulars().earlier(given, place, mode, key, text, ip_key, network, id, entry)
    end
    if #text < MAILBOX_BYTES or #network < IP_BYTES or #group < DOMAIN_BYTES then
        text, network, group =
            histories().move_on(key, text, ip_key, network, group_key, group, now, sent, mode)
    end
    local MAILBOX_TOTALS = unpack_bytes(MAILBOX_FORM, text, #text - MAILBOX_BYTES + 1)
    local IP_TOTALS = unpack_bytes(IP_FORM, network, #network - IP_BYTES + 1)
    local DOMAIN_TOTALS = unpack_bytes(DOMAIN_FORM, group, #group - DOMAIN_BYTES + 1)
    if MAILBOX_NEWEST > at or IP_NEWEST > at or DOMAIN_NEWEST > at then
        at = math.max(MAILBOX_NEWEST, IP_NEWEST, DOMAIN_NEWEST)
    end
    if LEFT_ANY or at > now + AHEAD or OTHER_SHAPE then
        text, network, group, at, ahead =
            histories().move_on(key, text, ip_key, network, group_key, group, now, sent, mode)
        MAILBOX_TOTALS = unpack_bytes(MAILBOX_FORM, text, #text - MAILBOX_BYTES + 1)
        IP_TOTALS = unpack_bytes(IP_FORM, network, #network - IP_BYTES + 1)
        DOMAIN_TOTALS = unpack_bytes(DOMAIN_FORM, group, #group - DOMAIN_BYTES + 1)
    end
    local kept, ip_kept, roomy = #text - MAILBOX_BYTES, #network - IP_BYTES, ROOM_IN_ALL
    if at > sent then
        record_head = sub(record_head, 1, RECORD_TIME_PLACE - 1) .. pack(TIME_FORM, at)
            .. sub(record_head, RECORD_TIME_PLACE + TIME_BYTES)
    end

    -- decide
    if mode > 0 or suspended or block or own_block or not roomy or ahead > AHEAD
        or find(text, id, 1, true) then
        m = particulars().seen(given, place, mode, key, suspension_key, suspended, ip_key, now, at,
            ahead, text, network, roomy, id, entry, number, block, own_block, group_key, group)
        particulars().decide(m)
        counts = m.outcome == OUTCOME_ADMITTED and not m.dry
    end

    local would_count = counts or m.dry and m.outcome == OUTCOME_ADMITTED
    if not would_count and profile_usual_in ~= '' then
        profile = call('GET', profile_key)
    end
    if would_count and profile_key ~= '' then
        unusual_bytes, keep_profile, action, told_of_profile = look_at_profile(profile_key, profile,
            profile_usual_in, now, at, profile_network, profile_names, profile_terms, number)
        if action == ACTION_DEFER then
            m = m or particulars().seen(given, place, mode, key, suspension_key, suspended, ip_key,
                now, at, ahead, text, network, roomy, id, entry, number, block, own_block, group_key,
                group)
            particulars().defer(m)
        end
    elseif m and not m.dry and m.outcome == OUTCOME_REPEATED and profile_key ~= '' then
        unusual_bytes = profiles().repeated(profile, now, at, profile_names, profile_terms)
    elseif m and not m.dry and m.outcome == OUTCOME_REDEEMED then
        unusual_bytes, keep_profile = profiles().redeemed(profile, now, at,
            profile_key ~= '' and profile_names, profile_terms, number, tickets().waits(m.ticket))
    end
    if m then
        m.waits = action == ACTION_HOLD
        record_head, tail, kind, counts = particulars().effects(m, tail)
        text = m.text
    end
    if unusual_bytes ~= '' and record_head then
        record_head = sub(record_head, 1, RECORD_OUTCOME_AT)
            .. string.char(byte(record_head, RECORD_OUTCOME_AT + 1) + RECORD_UNUSUAL)
            .. sub(record_head, RECORD_OUTCOME_AT + 2)
        tail = tail .. unusual_bytes
    end

    -- apply
    if not m or not m.dry then
        local record = pack(RECORD_FORM, record_head, RECORD_TOTALS, tail)
        if sent == now then
            stamp = keep_record(kind, asked, stamp_id, now, number, record)
        else -- what the streams have of later moments is ahead of it, as with a wrong clock
            stamp = records().add_late(streams, floors, kind, at, at, number, record)
            streams[kind], floors[kind], now = kind, 0, at
        end
        if keep_profile then
            keep_profile(sub(suspension_key, #SUSPENSION + 1), stamp)
        end
        if counts then
            if at > sent or stamp ~= asked then
                entry = stamped(entry, at, stamp, number)
                ip_entry = sub(entry, 1, IP_EACH)
            end
            append(key, text, kept, MAILBOX_COUNTED * MAILBOX_EACH, entry,
                pack(MAILBOX_FORM, MAILBOX_NEXT), now, at, MAILBOX_NEWEST, MAILBOX_SLACK,
                MAILBOX_LIFETIME)
            if ip_key ~= '' then
                append(ip_key, network, ip_kept, IP_COUNTED * IP_EACH, ip_entry,
                    pack(IP_FORM, IP_NEXT), now, at, IP_NEWEST, IP_SLACK, IP_LIFETIME)
            end
            if group_key ~= '' then -- its entries have the form of an IP's
                append(group_key, group, #group - DOMAIN_BYTES, DOMAIN_COUNTED * DOMAIN_EACH,
                    ip_entry, pack(DOMAIN_FORM, DOMAIN_NEXT), now, at, DOMAIN_NEWEST, DOMAIN_SLACK,
                    DOMAIN_LIFETIME)
            end
            if m and m.recipients ~= '' then
                m.of_recipients.count(m, entry)
            end
        end
    end
    local told = pack(TOLD_FORM, at, stamp, ALL_HELD) .. told_of_profile .. unusual_bytes
    return m and particulars().answer(m, told, stamp) or told
end

-- An error ends the message that it is of; the next one begins anew.
local answers, last = {server}, 1
local function judge_others()
    while last < #ARGV do
        last = last + 1
        answers[last] = judge(ARGV[last])
    end
end
while last < #ARGV do
    local good, why = pcall(judge_others)
    if not good then
        answers[last] = type(why) == 'table' and why or {err = tostring(why)}
    end
end
return answers
