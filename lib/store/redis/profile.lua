-- profiles(): what is usual of a mailbox, and whether a message is unusual; as lib/rules/profile.c, to
-- which profile.h says what is kept; and what is listed of that, as lib/rules/held.c. Both are values,
-- so their versions and their ends stand before them.
--
-- Redis' Lua hashes all bytes of each string that it makes: so a long list of recipients is searched
-- and changed where it is, and the head's lists stay packed where they do not change.
local byte, find, sub = string.byte, string.find, string.sub

local function day_of(time)
    return math.floor(time / DAY)
end

local function is_past(day, days, today)
    return day <= today - days
end

local function is_stale(day, today)
    return is_past(day, PROFILE_RENEW_DAYS, today) or day > today + 1
end

-- No profile yet. Lists are packed, without their numbers of elements.
local function nothing()
    return {
        networks = '', begin = 0, unusual = 0, held = 0, usual_until = 0, usual = 0, days = '',
        entries = '',
    }
end

-- Each element of a list of so many bytes, by its form, as a table.
local function read_list(bytes, form, each)
    local list = {}
    for place = 1, #bytes, each do
        list[#list + 1] = {unpack_bytes(form, bytes, place)}
    end
    return list
end

local function pack_list(form, list)
    local packed = {}
    for i, element in ipairs(list) do
        packed[i] = pack(form, unpack(element))
    end
    return table.concat(packed)
end

-- The head of a profile without its end; nil when it is damaged.
local function read_head(bytes)
    local networks_end = 1 + PROFILE_NETWORK_BYTES * (byte(bytes, 1) or 255)
    local days_place = networks_end + PROFILE_TIMES_BYTES + 1
    local days_end = days_place + PROFILE_DAY_BYTES * (byte(bytes, days_place) or 255)
    local entries = byte(bytes, days_end + 1) or 255
    if days_end + 1 + PROFILE_ENTRY_BYTES * entries ~= #bytes
        or byte(bytes, 1) > PROFILE_NETWORKS_MAX or byte(bytes, days_place) > PROFILE_DAYS_MAX
        or entries > PROFILE_ENTRIES_MAX then
        return
    end
    local begin, unusual, held, usual_until, usual =
        unpack_bytes(PROFILE_TIMES_FORM, bytes, networks_end + 1)
    return {
        networks = sub(bytes, 2, networks_end), begin = begin, unusual = unusual, held = held,
        usual_until = usual_until, usual = usual,
        days = sub(bytes, days_place + 1, days_end), entries = sub(bytes, days_end + 2),
    }
end

-- Where the recipients end in the value, VALUE_HEAD_BYTES where there are none; and the head.
local function read(text, now)
    if #text < VALUE_HEAD_BYTES + PROFILE_TAIL_BYTES
        or select(2, unpack_bytes(VALUE_FORM, text)) <= now then
        return VALUE_HEAD_BYTES, nothing()
    end
    local bytes, format = unpack_bytes(PROFILE_TAIL_FORM, text, #text - PROFILE_TAIL_BYTES + 1)
    local last = #text - bytes
    local head = format == PROFILE_FORMAT and bytes >= PROFILE_TAIL_BYTES
        and last >= VALUE_HEAD_BYTES and (last - VALUE_HEAD_BYTES) % PROFILE_RECIPIENT_BYTES == 0
        and read_head(sub(text, last + 1, -PROFILE_TAIL_BYTES - 1))
    if not head then
        return VALUE_HEAD_BYTES, nothing()
    end
    return last, head
end

local function packed_head(head)
    local bytes = string.char(#head.networks / PROFILE_NETWORK_BYTES) .. head.networks
        .. pack(PROFILE_TIMES_FORM, head.begin, head.unusual, head.held, head.usual_until,
            head.usual)
        .. string.char(#head.days / PROFILE_DAY_BYTES) .. head.days
        .. string.char(#head.entries / PROFILE_ENTRY_BYTES) .. head.entries
    return bytes .. pack(PROFILE_TAIL_FORM, #bytes + PROFILE_TAIL_BYTES, PROFILE_FORMAT)
end

-- Where an element of so many bytes begins with that, from `from` on, in what is behind `before` and
-- not behind `last`; nil: nowhere.
local function find_element(bytes, begin, each, before, last, from)
    local place = find(bytes, begin, from, true)
    while place and (place - before - 1) % each > 0 do
        place = find(bytes, begin, place + 1, true)
    end
    return place and place <= last and place or nil
end

local function find_recipient(text, begin, last, from)
    return find_element(text, begin, PROFILE_RECIPIENT_BYTES, VALUE_HEAD_BYTES, last, from)
end

local function day_at(text, place)
    local upper, lower = byte(text, place + PROFILE_HASH_BYTES, place + PROFILE_HASH_BYTES + 1)
    return upper * 256 + lower
end

local function knows_domain(text, last, domain, today)
    local from, place = VALUE_HEAD_BYTES + 1
    repeat
        place = find_recipient(text, domain, last, from)
        from = place and place + PROFILE_RECIPIENT_BYTES
    until not place or not is_past(day_at(text, place), PROFILE_RECIPIENT_DAYS, today)
    return place ~= nil
end

-- How many recipients are new, and at how many new domains; where the day has to be kept anew, which
-- recipients to add, and the oldest day of the others.
local function look_at_recipients(text, last, names, today)
    local fresh, domains, domain, stale, added, oldest = 0, 0, '', {}, {}, today
    for i = 1, #names, PROFILE_HASH_BYTES do
        local name = sub(names, i, i + PROFILE_HASH_BYTES - 1)
        local place = find_recipient(text, name, last, VALUE_HEAD_BYTES + 1)
        local day = place and day_at(text, place)
        if not place or is_past(day, PROFILE_RECIPIENT_DAYS, today) then
            fresh = fresh + 1
            if sub(name, 1, PROFILE_HASH_BYTES / 2) ~= domain then
                domain = sub(name, 1, PROFILE_HASH_BYTES / 2)
                domains = domains + (knows_domain(text, last, domain, today) and 0 or 1)
            end
        end
        if not place then
            added[#added + 1] = name .. pack(PROFILE_DAY_OF_FORM, today)
        elseif is_stale(day, today) then
            stale[#stale + 1] = place
        else
            oldest = math.min(oldest, day)
        end
    end
    return fresh, domains, stale, table.concat(added), oldest
end

-- The recipients alone.
local function with_days(text, last, stale, today)
    local made, from = {}, VALUE_HEAD_BYTES + 1
    table.sort(stale)
    for _, place in ipairs(stale) do
        made[#made + 1] = sub(text, from, place + PROFILE_HASH_BYTES - 1)
        made[#made + 1] = pack(PROFILE_DAY_OF_FORM, today)
        from = place + PROFILE_RECIPIENT_BYTES
    end
    made[#made + 1] = sub(text, from, last)
    return table.concat(made)
end

-- Of too many the past ones go, and then the oldest, of a day the first ones.
local function left_of(known, today)
    local count, past, days = #known / PROFILE_RECIPIENT_BYTES, 0, {}
    for i = 1, count do
        days[i] = day_at(known, (i - 1) * PROFILE_RECIPIENT_BYTES + 1)
        past = past + (is_past(days[i], PROFILE_RECIPIENT_DAYS, today) and 1 or 0)
    end
    table.sort(days)
    local drop = count - past > PROFILE_RECIPIENTS_MAX and count - PROFILE_RECIPIENTS_LEFT or past
    local last, of_last, left = days[drop], 0, {}
    while of_last < drop and days[drop - of_last] == last do
        of_last = of_last + 1
    end
    for place = 1, #known, PROFILE_RECIPIENT_BYTES do
        local day = day_at(known, place)
        if day == last and of_last > 0 then
            of_last = of_last - 1
        elseif day >= last then
            left[#left + 1] = sub(known, place, place + PROFILE_RECIPIENT_BYTES - 1)
        end
    end
    return table.concat(left)
end

-- The networks with that one, whether that changes anything, whether it was first seen less than 24 h
-- ago, and its day.
local function look_at_network(networks, network, at, today)
    if network == '' then
        return networks, false, false, today
    end
    local place = find_element(networks, network, PROFILE_NETWORK_BYTES, 0, #networks, 1)
    local first, day
    if place then
        first, day = unpack_bytes(PROFILE_NETWORK_FORM, networks, place + PROFILE_HASH_BYTES)
    end
    local known = place and not is_past(day, PROFILE_NETWORK_DAYS, today)
    local new = not known or at - first < DAY
    if known and not is_stale(day, today) then
        return networks, false, new, day
    end
    if not place and #networks == PROFILE_NETWORKS_MAX * PROFILE_NETWORK_BYTES then
        local oldest
        for at_place = 1, #networks, PROFILE_NETWORK_BYTES do
            local _, of = unpack_bytes(PROFILE_NETWORK_FORM, networks,
                at_place + PROFILE_HASH_BYTES)
            if not oldest or of < oldest then
                place, oldest = at_place, of
            end
        end
    end
    place = place or #networks + 1
    return sub(networks, 1, place - 1) .. network
        .. pack(PROFILE_NETWORK_FORM, known and math.min(first, at) or at, today)
        .. sub(networks, place + PROFILE_NETWORK_BYTES), true, new, today
end

-- The same of entries and days, which are in their order.
local function move_lists_on(head, at, today)
    local entries, days, kept = {}, read_list(head.days, PROFILE_DAY_FORM, PROFILE_DAY_BYTES), {}
    for _, day in ipairs(days) do
        day[1] = math.min(day[1], today)
    end
    for _, entry in ipairs(read_list(head.entries, PROFILE_ENTRY_FORM, PROFILE_ENTRY_BYTES)) do
        entry[1] = math.min(entry[1], at)
        local day, last = day_of(entry[1]), days[#days]
        if entry[1] > at - HOUR then
            entries[#entries + 1] = entry
        elseif not last or last[1] < day then
            days[#days + 1] = {day, entry[4]}
        else
            last[2] = math.max(last[2], entry[4])
        end
    end
    for _, day in ipairs(days) do
        if day[1] >= today - PROFILE_BUSY_DAYS then
            kept[#kept + 1] = day
        end
    end
    head.entries, head.days =
        pack_list(PROFILE_ENTRY_FORM, entries), pack_list(PROFILE_DAY_FORM, kept)
end

-- What is ahead of `at` becomes of it; hours that are over enter their days; days that nobody asks
-- for go, and so does what the postmaster said to be usual.
local function move_on(head, at, today)
    local days, entries = head.days, head.entries
    if head.begin == 0 or head.begin > at then
        head.begin = at
    end
    head.unusual, head.held = math.min(head.unusual, at), math.min(head.held, at)
    head.usual_until = math.min(head.usual_until, at + PROFILE_USUAL)
    if head.usual_until <= at then
        head.usual_until, head.usual = 0, 0
    end
    if entries ~= '' and (unpack_bytes(TIME_FORM, entries) <= at - HOUR
            or unpack_bytes(TIME_FORM, entries, #entries - PROFILE_ENTRY_BYTES + 1) > at)
        or days ~= '' and (unpack_bytes(PROFILE_DAY_FORM, days) < today - PROFILE_BUSY_DAYS
            or unpack_bytes(PROFILE_DAY_FORM, days, #days - PROFILE_DAY_BYTES + 1) > today) then
        move_lists_on(head, at, today)
    end
end

local function at_most(number)
    return math.min(number, PROFILE_NUMBER_MAX)
end

-- How much the hour has with what is new.
local function hour_with(head, recipients, domains)
    local entries = head.entries
    for place = 1 + TIME_BYTES, #entries, PROFILE_ENTRY_BYTES do
        local one, two, three, four = byte(entries, place, place + 3)
        recipients, domains = recipients + one * 256 + two, domains + three * 256 + four
    end
    return at_most(recipients), at_most(domains)
end

local function add_to_hour(head, at, fresh, domains, total)
    if #head.entries == PROFILE_ENTRIES_MAX * PROFILE_ENTRY_BYTES then -- two neighbours become one
        local all, left = read_list(head.entries, PROFILE_ENTRY_FORM, PROFILE_ENTRY_BYTES), {}
        for i = 1, PROFILE_ENTRIES_MAX, 2 do
            local one, other = all[i], all[i + 1]
            left[#left + 1] = {other[1], at_most(one[2] + other[2]), at_most(one[3] + other[3]),
                math.max(one[4], other[4])}
        end
        head.entries = pack_list(PROFILE_ENTRY_FORM, left)
    end
    head.entries = head.entries .. pack(PROFILE_ENTRY_FORM, at, fresh, domains, total)
end

-- On the days before today, or what the postmaster said.
local function busiest_of(head, today)
    local busiest = head.usual
    for place = 1, #head.days, PROFILE_DAY_BYTES do
        local day, of_day = unpack_bytes(PROFILE_DAY_FORM, head.days, place)
        if day < today then
            busiest = math.max(busiest, of_day)
        end
    end
    return busiest
end

-- What is unusual of a message with new recipients, as a table, and what becomes of it; nil: nothing
-- is, and it passes. `wanted` is what is to become of it then.
local function decided(head, at, today, recipients, domains, network_new, limits, wanted)
    local busiest, most, factor, most_domains =
        busiest_of(head, today), unpack_bytes(PROFILE_LIMITS_FORM, limits)
    local history = math.min(math.floor((at - head.begin) / DAY), 255)
    local is = recipients > most and recipients > factor * busiest
        and (network_new or domains > most_domains or history < UNUSUAL_HISTORY_DAYS)
    local follows = head.held > 0 and wanted ~= ACTION_NOTE
    if not is and not follows then
        return nil, ACTION_NOTE
    end
    local action = (follows or history >= UNUSUAL_HISTORY_DAYS) and wanted or ACTION_NOTE
    local first = is and (head.unusual == 0 or head.unusual <= at - HOUR)
    if is then
        head.unusual = at
    end
    if action == ACTION_HOLD and head.held == 0 then
        head.held = at
    end
    return pack(PROFILE_SEEN_FORM, recipients, domains, busiest, history,
        (network_new and UNUSUAL_NETWORK_NEW or 0) + (first and UNUSUAL_FIRST or 0)
            + UNUSUAL_BY_ACTION * action) .. limits, action
end

-- Keeps the profile: a long one in parts, unless it becomes shorter; `begin` is what stands before
-- its recipients, `behind` its head.
local function keep(key, text, last, stale, today, added, begin, behind, lifetime)
    local length = last + #added + #behind
    if last + #added > VALUE_HEAD_BYTES + PROFILE_RECIPIENTS_MAX * PROFILE_RECIPIENT_BYTES then
        call('SET', key, begin .. left_of(with_days(text, last, stale, today) .. added, today)
            .. behind, 'PX', lifetime)
        return
    end
    if length <= PROFILE_WHOLE_BYTES or length < #text then
        call('SET', key, begin .. with_days(text, last, stale, today) .. added .. behind, 'PX',
            lifetime)
        return
    end
    for _, place in ipairs(stale) do
        call('SETRANGE', key, place - 1 + PROFILE_HASH_BYTES, pack(PROFILE_DAY_OF_FORM, today))
    end
    call('SETRANGE', key, last, added .. behind)
    call('SETRANGE', key, 0, begin)
    call('PEXPIRE', key, lifetime)
end

-- Limits, action, recipients and, where the mail server has the message, its queue id. Between the last
-- two is what a message that is tried again is known by.
local function terms_of(terms)
    local action, has_id, recipients =
        unpack_bytes(PROFILE_TERMS_FORM, terms, UNUSUAL_LIMITS_BYTES + 1)
    return sub(terms, 1, UNUSUAL_LIMITS_BYTES), action, recipients,
        has_id == 1 and sub(terms, PROFILE_TERMS_BYTES + 1) or nil
end

-- Lists a message that is unusual, `unusual` as its record has it. The decision of its record is of
-- that millisecond and number.
local function list(mailbox, now, at, unusual, terms, stamp, number)
    local key = VALUE .. HELD_KIND .. ':' .. mailbox
    local text, _, _, recipients, queue_id = call('GET', key), terms_of(terms)
    local new, _, _, _, flags = unpack_bytes(PROFILE_SEEN_FORM, unusual)
    local action = math.floor(flags / UNUSUAL_BY_ACTION)
    local ends = action == ACTION_HOLD and 0 or at + HELD_SHOWN
    local version, listed, format, before, since, last, first, most, count, again = 0, ''
    if text and #text >= VALUE_HEAD_BYTES then
        version, last = unpack_bytes(VALUE_FORM, text)
        if last > 0 and last <= now then
            version, text = 0, nil
        end
    end
    if text and #text >= VALUE_HEAD_BYTES + HELD_HEAD_BYTES then
        format, before, since, last, first, most, count =
            unpack_bytes(HELD_FORM, text, VALUE_HEAD_BYTES + 1)
    end
    if format ~= HELD_FORMAT or before >= UNUSUAL_ACTIONS or before < action then
        since, first, most, count = at, unusual, 0, 0
    elseif before > action then
        return
    else
        listed = sub(text, VALUE_HEAD_BYTES + HELD_HEAD_BYTES + 1)
    end
    if action == ACTION_DEFER then
        local tried = sub(terms, PROFILE_TERMS_BYTES - PROFILE_HASH_BYTES + 1, PROFILE_TERMS_BYTES)
        again = find_element(listed, tried, PROFILE_HASH_BYTES, 0, #listed, 1)
        if not again and #listed < HELD_LISTED_MAX * PROFILE_HASH_BYTES then
            listed = listed .. tried
        end
    end
    if not again and (action ~= ACTION_HOLD or queue_id) then
        count = math.min(count + 1, LAST_COUNT)
    end
    if action == ACTION_HOLD and queue_id and count <= HELD_LISTED_MAX then
        listed = listed .. pack(HELD_MESSAGE_FORM, stamp - DECISION_EPOCH, number, recipients,
            #queue_id, queue_id)
    end
    text = pack(VALUE_FORM, (version > 0 and version or unpack_bytes(NUMBER_FORM, number))
        % LAST_VERSION + 1, ends) .. pack(HELD_FORM, HELD_FORMAT, action, since, at, first,
        math.max(most, new), count) .. listed
    call('ZADD', VALUE_KEYS .. HELD_KIND, 0, mailbox)
    if ends > 0 then
        call('SET', key, text, 'PX', string.format('%d', ends - now + MARGIN))
        call('ZADD', VALUE_ENDS, ends, HELD_KIND .. ' ' .. mailbox)
    else
        call('SET', key, text)
        call('ZREM', VALUE_ENDS, HELD_KIND .. ' ' .. mailbox)
    end
end

-- Whether others may be forgotten for what is added, or for a network.
local function forgets(last, added, networks, of_network)
    return last + #added > VALUE_HEAD_BYTES + PROFILE_RECIPIENTS_MAX * PROFILE_RECIPIENT_BYTES
        or of_network and #networks == PROFILE_NETWORKS_MAX * PROFILE_NETWORK_BYTES
end

-- Adds a message that would be counted to the profile under that key, `text` as it is. Returns what
-- is unusual, '' for nothing; what keeps that, when the record is kept; what becomes of the message;
-- how the profile is now and profile_change's same_until, nil where nothing is told of it.
local function add(key, text, now, at, network, names, terms, number)
    text = text or ''
    local last, head = read(text, now)
    local limits, wanted = terms_of(terms)
    local today, unusual, action, networks, of_network, new, day = day_of(at), nil, ACTION_NOTE
    local fresh, domains, stale, added, oldest = look_at_recipients(text, last, names, today)
    networks, of_network, new, day = look_at_network(head.networks, network, at, today)
    oldest = math.min(oldest, day) + PROFILE_RENEW_DAYS
    if #stale == 0 and added == '' and not of_network and head.begin > 0 then
        return '', function() end, action, sub(text, 1, VALUE_HEAD_BYTES), oldest
    end
    move_on(head, at, today)
    if fresh > 0 then
        local recipients, of_domains = hour_with(head, fresh, domains)
        unusual, action = decided(head, at, today, recipients, of_domains, new, limits, wanted)
        if action ~= ACTION_DEFER then
            add_to_hour(head, at, fresh, domains, action == ACTION_HOLD and 0 or recipients)
        end
    end
    if action ~= ACTION_DEFER then
        head.networks = networks
    end
    if action ~= ACTION_NOTE then
        stale, added = {}, ''
    end
    local version = #text >= VERSION_BYTES and unpack_bytes(VERSION_FORM, text) or 0
    local begin = pack(VALUE_FORM, (version > 0 and version or unpack_bytes(NUMBER_FORM, number))
        % LAST_VERSION + 1, at + PROFILE_KEPT)
    local told = action == ACTION_NOTE and not forgets(last, added, networks, of_network) and begin
    return unusual or '', function(mailbox, stamp)
        keep(key, text, last, stale, today, added, begin, packed_head(head),
            string.format('%d', at - now + PROFILE_KEPT + MARGIN))
        if unusual then
            list(mailbox, now, at, unusual, terms, stamp, number)
        end
    end, action, told or nil, oldest
end

-- The bytes of a message of which the action alone is told.
local waiting = pack(PROFILE_SEEN_FORM, 0, 0, 0, 0, UNUSUAL_BY_ACTION * ACTION_HOLD)
    .. string.rep('\0', UNUSUAL_LIMITS_BYTES)

-- Of a message that was counted before: whether it waits, in the same form. `waited`: it was to.
local function repeated(text, now, at, names, terms, waited)
    text = text or ''
    local last, head = read(text, now)
    local _, wanted = terms_of(terms)
    local waits = head.held > 0 and (waited or wanted == ACTION_HOLD
        and look_at_recipients(text, last, names, day_of(at)) > 0)
    return waits and waiting or ''
end

-- Of a message whose ticket was redeemed: the same, and what lists it.
local function redeemed(text, now, at, names, terms, number, waited)
    if names and repeated(text, now, at, names, terms, waited) == '' or not names and not waited then
        return ''
    end
    return waiting, function(mailbox, stamp)
        list(mailbox, now, at, waiting, terms, stamp, number)
    end
end

return {add = add, repeated = repeated, redeemed = redeemed}
