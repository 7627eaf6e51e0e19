-- profiles(): what is usual of a mailbox, and whether a message is unusual; as lib/rules/profile.c, to
-- which profile.h says what is kept. It is a value, so its version and its end stand before it.
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

local function nothing()
    return {networks = '', begin = 0, unusual = 0, days = {}, entries = {}}
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
    local packed = {string.char(#list)}
    for i, element in ipairs(list) do
        packed[i + 1] = pack(form, unpack(element))
    end
    return table.concat(packed)
end

-- The head of a profile without its end; nil when it is damaged.
local function read_head(bytes)
    local networks_end = 1 + PROFILE_NETWORK_BYTES * (byte(bytes, 1) or 255)
    local days_place = networks_end + 2 * TIME_BYTES + 1
    local days_end = days_place + PROFILE_DAY_BYTES * (byte(bytes, days_place) or 255)
    local entries = byte(bytes, days_end + 1) or 255
    if days_end + 1 + PROFILE_ENTRY_BYTES * entries ~= #bytes
        or byte(bytes, 1) > PROFILE_NETWORKS_MAX or byte(bytes, days_place) > PROFILE_DAYS_MAX
        or entries > PROFILE_ENTRIES_MAX then
        return
    end
    local begin, unusual = unpack_bytes(PROFILE_TIMES_FORM, bytes, networks_end + 1)
    return {
        networks = sub(bytes, 2, networks_end), begin = begin, unusual = unusual,
        days = read_list(sub(bytes, days_place + 1, days_end), PROFILE_DAY_FORM, PROFILE_DAY_BYTES),
        entries = read_list(sub(bytes, days_end + 2), PROFILE_ENTRY_FORM, PROFILE_ENTRY_BYTES),
    }
end

-- The recipients, and the head.
local function read(text, now)
    if not text or #text < VALUE_HEAD_BYTES + PROFILE_TAIL_BYTES
        or select(2, unpack_bytes(VALUE_FORM, text)) <= now then
        return '', nothing()
    end
    local bytes, format = unpack_bytes(PROFILE_TAIL_FORM, text, #text - PROFILE_TAIL_BYTES + 1)
    local known = #text - VALUE_HEAD_BYTES - bytes
    local head = format == PROFILE_FORMAT and bytes >= PROFILE_TAIL_BYTES and known >= 0
        and known % PROFILE_RECIPIENT_BYTES == 0
        and read_head(sub(text, #text - bytes + 1, -PROFILE_TAIL_BYTES - 1))
    if not head then
        return '', nothing()
    end
    return sub(text, VALUE_HEAD_BYTES + 1, VALUE_HEAD_BYTES + known), head
end

local function packed_head(head)
    local bytes = string.char(#head.networks / PROFILE_NETWORK_BYTES) .. head.networks
        .. pack(PROFILE_TIMES_FORM, head.begin, head.unusual)
        .. pack_list(PROFILE_DAY_FORM, head.days) .. pack_list(PROFILE_ENTRY_FORM, head.entries)
    return bytes .. pack(PROFILE_TAIL_FORM, #bytes + PROFILE_TAIL_BYTES, PROFILE_FORMAT)
end

-- Where an element of so many bytes begins with that, from `from` on, from 1; nil: nowhere.
local function find_element(list, begin, each, from)
    local place = find(list, begin, from, true)
    while place and (place - 1) % each > 0 do
        place = find(list, begin, place + 1, true)
    end
    return place
end

local function day_at(known, place)
    local upper, lower = byte(known, place + PROFILE_HASH_BYTES, place + PROFILE_HASH_BYTES + 1)
    return upper * 256 + lower
end

local function knows_domain(known, domain, today)
    local place = 1 - PROFILE_RECIPIENT_BYTES
    repeat
        place = find_element(known, domain, PROFILE_RECIPIENT_BYTES,
            place + PROFILE_RECIPIENT_BYTES)
    until not place or not is_past(day_at(known, place), PROFILE_RECIPIENT_DAYS, today)
    return place ~= nil
end

-- How many recipients are new, and at how many new domains; where the day has to be kept anew, and
-- which recipients to add.
local function look_at_recipients(known, names, today)
    local fresh, domains, domain, stale, added = 0, 0, '', {}, {}
    for i = 1, #names, PROFILE_HASH_BYTES do
        local name = sub(names, i, i + PROFILE_HASH_BYTES - 1)
        local place = find_element(known, name, PROFILE_RECIPIENT_BYTES, 1)
        local day = place and day_at(known, place)
        if not place or is_past(day, PROFILE_RECIPIENT_DAYS, today) then
            fresh = fresh + 1
            if sub(name, 1, PROFILE_HASH_BYTES / 2) ~= domain then
                domain = sub(name, 1, PROFILE_HASH_BYTES / 2)
                domains = domains + (knows_domain(known, domain, today) and 0 or 1)
            end
        end
        if not place then
            added[#added + 1] = name .. pack(PROFILE_DAY_OF_FORM, today)
        elseif is_stale(day, today) then
            stale[#stale + 1] = place
        end
    end
    return fresh, domains, stale, added
end

local function with_days(known, stale, today)
    local made, from = {}, 1
    table.sort(stale)
    for _, place in ipairs(stale) do
        made[#made + 1] = sub(known, from, place + PROFILE_HASH_BYTES - 1)
        made[#made + 1] = pack(PROFILE_DAY_OF_FORM, today)
        from = place + PROFILE_RECIPIENT_BYTES
    end
    made[#made + 1] = sub(known, from)
    return table.concat(made)
end

-- Of too many the past ones go, and then the oldest, of a day the first ones.
local function left_of(known, today)
    local count, past, days = #known / PROFILE_RECIPIENT_BYTES, 0, {}
    if count <= PROFILE_RECIPIENTS_MAX then
        return known
    end
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

-- The networks with that one, whether that changes anything, and whether it was first seen less than
-- 24 h ago.
local function look_at_network(networks, network, at, today)
    if network == '' then
        return networks, false, false
    end
    local place = find_element(networks, network, PROFILE_NETWORK_BYTES, 1)
    local first, day
    if place then
        first, day = unpack_bytes(PROFILE_NETWORK_FORM, networks, place + PROFILE_HASH_BYTES)
    end
    local known = place and not is_past(day, PROFILE_NETWORK_DAYS, today)
    local new = not known or at - first < DAY
    if known and not is_stale(day, today) then
        return networks, false, new
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
        .. sub(networks, place + PROFILE_NETWORK_BYTES), true, new
end

-- What is ahead of `at` becomes of it; hours that are over enter their days; days that nobody asks
-- for go.
local function move_on(head, at, today)
    local entries, days = {}, {}
    if head.begin == 0 or head.begin > at then
        head.begin = at
    end
    head.unusual = math.min(head.unusual, at)
    for _, day in ipairs(head.days) do
        day[1] = math.min(day[1], today)
    end
    for _, entry in ipairs(head.entries) do
        entry[1] = math.min(entry[1], at)
        local day, last = day_of(entry[1]), head.days[#head.days]
        if entry[1] > at - HOUR then
            entries[#entries + 1] = entry
        elseif not last or last[1] < day then
            head.days[#head.days + 1] = {day, entry[4]}
        else
            last[2] = math.max(last[2], entry[4])
        end
    end
    for _, day in ipairs(head.days) do
        if day[1] >= today - PROFILE_BUSY_DAYS then
            days[#days + 1] = day
        end
    end
    head.entries, head.days = entries, days
end

local function at_most(number)
    return math.min(number, PROFILE_NUMBER_MAX)
end

-- Adds what is new to the hour; returns how much that has then.
local function add_to_hour(head, at, fresh, domains)
    local recipients, of_domains, entries = fresh, domains, head.entries
    for _, entry in ipairs(entries) do
        recipients, of_domains = recipients + entry[2], of_domains + entry[3]
    end
    recipients, of_domains = at_most(recipients), at_most(of_domains)
    if #entries == PROFILE_ENTRIES_MAX then -- two neighbours become one
        entries = {}
        for i = 1, PROFILE_ENTRIES_MAX, 2 do
            local one, other = head.entries[i], head.entries[i + 1]
            entries[#entries + 1] = {other[1], at_most(one[2] + other[2]),
                at_most(one[3] + other[3]), math.max(one[4], other[4])}
        end
        head.entries = entries
    end
    entries[#entries + 1] = {at, fresh, domains, recipients}
    return recipients, of_domains
end

-- What is unusual of a message with new recipients, packed; '': nothing is.
local function decided(head, at, today, recipients, domains, network_new, limits)
    local busiest, most, factor, most_domains = 0, unpack_bytes(PROFILE_LIMITS_FORM, limits)
    local history = math.min(math.floor((at - head.begin) / DAY), 255)
    for _, day in ipairs(head.days) do
        if day[1] < today then
            busiest = math.max(busiest, day[2])
        end
    end
    if recipients <= most or recipients <= factor * busiest or not network_new
        and domains <= most_domains and history >= UNUSUAL_HISTORY_DAYS then
        return ''
    end
    local first = head.unusual == 0 or head.unusual <= at - HOUR
    head.unusual = at
    return pack(PROFILE_SEEN_FORM, recipients, domains, busiest, history,
        (network_new and UNUSUAL_NETWORK_NEW or 0) + (first and UNUSUAL_FIRST or 0)) .. limits
end

-- Keeps the profile: a long one in parts, where it has the same recipients before the new ones.
local function keep(key, before, stale, today, known, text, lifetime)
    if #text <= PROFILE_WHOLE_BYTES or #text < #before or not known then
        call('SET', key, text, 'PX', lifetime)
        return
    end
    for _, place in ipairs(stale) do
        call('SETRANGE', key, VALUE_HEAD_BYTES + place - 1 + PROFILE_HASH_BYTES,
            pack(PROFILE_DAY_OF_FORM, today))
    end
    call('SETRANGE', key, VALUE_HEAD_BYTES + known, sub(text, VALUE_HEAD_BYTES + known + 1))
    call('SETRANGE', key, 0, sub(text, 1, VALUE_HEAD_BYTES))
    call('PEXPIRE', key, lifetime)
end

-- Adds a message that is counted to the profile under that key, `text` as it is. Returns what is
-- unusual, '' for nothing, and what keeps the profile.
local function add(key, text, now, at, network, names, limits, number)
    local known, head = read(text, now)
    local today, unusual, of_network, new = day_of(at), ''
    local fresh, domains, stale, added = look_at_recipients(known, names, today)
    head.networks, of_network, new = look_at_network(head.networks, network, at, today)
    if #stale == 0 and #added == 0 and not of_network and head.begin > 0 then
        return '', function() end
    end
    move_on(head, at, today)
    if fresh > 0 then
        local recipients, of_domains = add_to_hour(head, at, fresh, domains)
        unusual = decided(head, at, today, recipients, of_domains, new, limits)
    end
    local version = text and #text >= VERSION_BYTES and unpack_bytes(VERSION_FORM, text) or 0
    local all = with_days(known, stale, today) .. table.concat(added)
    local left = left_of(all, today)
    local next_version = (version > 0 and version or number) % LAST_VERSION + 1
    local whole = pack(VALUE_FORM, next_version, at + PROFILE_KEPT) .. left .. packed_head(head)
    return unusual, function()
        keep(key, text or '', stale, today, #left == #all and #known > 0 and #known, whole,
            string.format('%d', at - now + PROFILE_KEPT + MARGIN))
    end
end

return {add = add}
