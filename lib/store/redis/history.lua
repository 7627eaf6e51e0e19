-- histories(): what is read of histories and changed in them beside counting a message. A history
-- is one text: its entries, behind them its totals (redis_format.h).
local of_mailbox = {
    each = MAILBOX_EACH, bytes = MAILBOX_BYTES, form = MAILBOX_FORM, spans = MAILBOX_SPANS,
    shares = MAILBOX_SHARES, share_of = MAILBOX_SHARE_OF, lengths = {MAILBOX_LENGTHS},
}
local of_ip = {
    each = IP_EACH, bytes = IP_BYTES, form = IP_FORM, spans = IP_SPANS,
    shares = IP_SHARES, share_of = IP_SHARE_OF, lengths = {IP_LENGTHS},
}
local of_domain = {
    each = DOMAIN_EACH, bytes = DOMAIN_BYTES, form = DOMAIN_FORM, spans = DOMAIN_SPANS,
    shares = DOMAIN_SHARES, share_of = DOMAIN_SHARE_OF, lengths = {DOMAIN_LENGTHS},
}

local function subject_of(key)
    return string.sub(key, 1, #MAILBOX_KEY) == MAILBOX_KEY and of_mailbox
        or string.sub(key, 1, #DOMAIN_KEY) == DOMAIN_KEY and of_domain or of_ip
end

-- Moment, off-domain recipients, channel, and whether the ticket was redeemed, of the entry behind
-- so many bytes.
local function entry_at(text, offset)
    local time, weight = unpack_bytes(ENTRY_FORM, text, offset + 1)
    local above = math.floor(time / TIMES)
    return time % TIMES, weight, above % CHANNELS, above >= CHANNELS
end

local function totals_of(of, text)
    return {unpack_bytes(of.form, text, #text - of.bytes + 1)}
end

-- The text with these totals in the place of its own.
local function with_totals(of, text, totals)
    return string.sub(text, 1, #text - of.bytes) .. pack(of.form, unpack(totals))
end

-- Place of a span's oldest moment among the totals; behind it messages and recipients by share.
local function span_at(of, span)
    return 2 + (span - 1) * (1 + 2 * of.shares)
end

-- Messages of a span.
local function count_of(of, totals, span)
    local count, at = 0, span_at(of, span)
    for share = 1, of.shares do
        count = count + totals[at + 2 * share - 1]
    end
    return count
end

-- Adds an entry to the totals of a span; `by` -1 takes it out.
local function add_to_span(of, totals, span, weight, channel, by)
    local at = span_at(of, span) + 1 + 2 * of.share_of[channel]
    totals[at], totals[at + 1] = totals[at] + by, totals[at + 1] + by * weight
end

-- A history with another number of spans or shares, which another table of rules has: each span
-- begins with what the longest one held, and lets go of what has left it.
local function shaped(of, text)
    if #text >= of.bytes and string.byte(text, -1) == of.spans * 16 + of.shares then
        return text
    end
    local shape = string.byte(text, -1) or 0
    local spans, shares = math.floor(shape / 16), shape % 16
    local bytes = TIME_BYTES + spans * (TIME_BYTES + shares * COUNTED_TOTAL_BYTES) + 1
    local kept, count = #text - bytes, 0
    if spans == 0 or shares == 0 or kept < 0 or kept % of.each ~= 0 then
        error({err = 'ERR a history is damaged'})
    end
    for share = 1, shares do
        count = count + unpack_bytes(MESSAGES_FORM, text,
            kept + 1 + 2 * TIME_BYTES + (share - 1) * COUNTED_TOTAL_BYTES)
    end
    local totals = {(unpack_bytes(TIME_FORM, text, kept + 1))}
    for span = 1, of.spans do
        local at = span_at(of, span)
        totals[at] = unpack_bytes(TIME_FORM, text, kept + 1 + TIME_BYTES)
        for share = 1, 2 * of.shares do
            totals[at + share] = 0
        end
        for offset = kept - count * of.each, kept - 1, of.each do
            local _, weight, channel = entry_at(text, offset)
            add_to_span(of, totals, span, weight, channel, 1)
        end
    end
    totals[#totals + 1] = of.spans * 16 + of.shares
    return string.sub(text, 1, kept) .. pack(of.form, unpack(totals))
end

-- The same of the history under a key, which is written where it changes: what is counted then is
-- put into that.
local function reshaped(key, text, writes)
    local made = shaped(subject_of(key), text)
    if writes and made ~= text then
        call('SET', key, made, 'KEEPTTL')
    end
    return made
end

-- An entry of another moment. Its tag goes with it; where the decision is too far away then, it
-- has the number alone.
local function restamped(of, entry, moment)
    local time = unpack_bytes(TIME_FORM, entry)
    local stamp = pack(TIME_FORM, time - time % TIMES + moment)
    if of ~= of_mailbox then
        return stamp .. string.sub(entry, TIME_BYTES + 1)
    end
    local tag = unpack_bytes(TAG_FORM, entry, of.each - TAG_BYTES + 1)
    local later = math.floor(tag / NUMBERS_END) + time % TIMES - moment
    local found = tag >= NUMBERS_END and later > 0 and later < 2 * NEAR_TIME
    return stamp .. string.sub(entry, TIME_BYTES + 1, of.each - TAG_BYTES)
        .. pack(TAG_FORM, (found and later or 0) * NUMBERS_END + tag % NUMBERS_END)
end

-- The entries at the end that a wrong clock stamped become of now, or of the entry before when that
-- is later.
local function mended(of, text, now)
    local totals, kept, moment = totals_of(of, text), #text - of.bytes, now
    if totals[1] <= now + AHEAD then
        return text
    end
    local first, entries = kept, {}
    while first > 0 and entry_at(text, first - of.each) > now + AHEAD do
        first = first - of.each
    end
    if first > 0 then
        moment = math.max(now, (entry_at(text, first - of.each)))
    end
    for offset = first, kept - 1, of.each do
        entries[#entries + 1] =
            restamped(of, string.sub(text, offset + 1, offset + of.each), moment)
    end
    totals[1] = moment
    for span = 1, of.spans do
        local at = span_at(of, span)
        totals[at] = totals[at] > now + AHEAD and moment or totals[at]
    end
    return string.sub(text, 1, first) .. table.concat(entries) .. pack(of.form, unpack(totals))
end

-- Lets go of what has left its spans by `at`. Nothing is written: only an admitted message moves
-- on.
local function moved(of, text, at)
    local totals, kept, changed = totals_of(of, text), #text - of.bytes, false
    for span, length in ipairs(of.lengths) do
        local place = span_at(of, span)
        local count = count_of(of, totals, span)
        local offset = kept - count * of.each
        if count > 0 and totals[place] <= at - length then
            local time, weight, channel = 0, 0, 0
            while offset < kept do
                time, weight, channel = entry_at(text, offset)
                if time > at - length then
                    break
                end
                add_to_span(of, totals, span, weight, channel, -1)
                offset = offset + of.each
            end
            totals[place] = offset < kept and time or 0
            changed = true
        end
    end
    return changed and with_totals(of, text, totals) or text
end

-- A history, mended where a wrong clock stamped it.
local function mended_of(of, key, text, now, dry)
    local made = mended(of, text, now)
    if not dry and made ~= text then
        call('SET', key, made, 'KEEPTTL')
    end
    return made
end

local function newest_among(text, network, group)
    return math.max(unpack_bytes(TIME_FORM, text, #text - MAILBOX_BYTES + 1),
        (unpack_bytes(TIME_FORM, network, #network - IP_BYTES + 1)),
        (unpack_bytes(TIME_FORM, group, #group - DOMAIN_BYTES + 1)))
end

-- The histories of a message, mended and moved on to the moment that it is judged at; that moment;
-- and by how much one of them was ahead.
local function move_on(key, text, ip_key, network, group_key, group, now, sent, mode)
    local dry = math.floor(mode / MODE_DRY_RUN) % 2 == 1
    text, network = reshaped(key, text, not dry), reshaped(ip_key, network, not dry)
    if group_key ~= '' then
        group = reshaped(group_key, group, not dry)
    end
    local newest = newest_among(text, network, group)
    if newest > now + AHEAD then
        text, network, group = mended_of(of_mailbox, key, text, now, dry),
            mended_of(of_ip, ip_key, network, now, dry),
            mended_of(of_domain, group_key, group, now, dry)
    end
    local at = math.max(sent, newest_among(text, network, group))
    return moved(of_mailbox, text, at), moved(of_ip, network, at), moved(of_domain, group, at), at,
        math.max(newest - now, 0)
end

-- The entries of a history that its longest span counts, as one text. What has left the span stays
-- away, also when a clock that was wrong by days had taken the span past it.
local function entries_of(key, text)
    local of = subject_of(key)
    local kept = #text - of.bytes
    return string.sub(text, kept + 1 - count_of(of, totals_of(of, text), 1) * of.each, kept)
end

-- The history under a key, nil for none; kept by the version before, too.
local function read(key, writes)
    local text = call('GET', key) or earlier().history(key, writes)
    return text and shaped(subject_of(key), text)
end

local function newest_of(key, text)
    local of = subject_of(key)
    text = shaped(of, text)
    return (unpack_bytes(TIME_FORM, text, #text - of.bytes + 1))
end

-- How many bytes are before the entry that has these bytes behind so many of its own, nil for none.
local function offset_of(of, text, bytes, behind)
    local kept, place = #text - of.bytes, string.find(text, bytes, 1, true)
    while place and place <= kept do
        if (place - 1 - behind) % of.each == 0 then
            return place - 1 - behind
        end
        place = string.find(text, bytes, place + 1, true)
    end
end

local function offset_of_id(text, id)
    return offset_of(of_mailbox, text, id, ENTRY_BYTES)
end

-- Takes the entry behind so many bytes out: true, or false when the longest span has let go of it.
local function take_out(key, text, offset)
    local of = subject_of(key)
    local totals, kept = totals_of(of, text), #text - of.bytes
    local _, weight, channel = entry_at(text, offset)
    if kept - offset > count_of(of, totals, 1) * of.each then
        return false
    end
    for span = 1, of.spans do
        if kept - offset <= count_of(of, totals, span) * of.each then
            add_to_span(of, totals, span, weight, channel, -1)
        end
    end
    call('SET', key, string.sub(text, 1, offset) .. string.sub(text, offset + of.each + 1, kept)
        .. pack(of.form, unpack(totals)), 'KEEPTTL')
    return true
end

return {
    of_mailbox = of_mailbox, of_ip = of_ip, of_domain = of_domain, entry_at = entry_at, entries_of = entries_of,
    move_on = move_on, read = read, offset_of = offset_of, offset_of_id = offset_of_id,
    newest_of = newest_of, take_out = take_out, shaped = shaped, reshaped = reshaped,
}
