-- histories(): what is read of histories and mended in them.

-- The entries of a history that its longest span counts, as one text, each with its decision's tag.
-- What has left the span stays away, also when a clock that was wrong by days had taken the span
-- past it. Entries of earlier versions have no tag, and may stand between others while machines are
-- brought up to date.
local function entries_of(name)
    local totals, count = call('GET', TOTALS .. name), 0
    if totals then
        count = select(2, unpack_bytes(SPAN_FORM, totals, HEAD_BYTES + 1))
    end
    if count == 0 then
        return ''
    end
    local entries = call('LRANGE', HISTORY .. name, -count, -1)
    for i = 1, #entries do
        if #entries[i] == ENTRY_BYTES then
            entries[i] = entries[i] .. TAG_OF_NONE
        end
    end
    return table.concat(entries)
end

-- Totals as bytes, with so many spans. Another table of rules had another number of them: each
-- begins with what the longest one held, and lets go of what has left it.
local function shaped(text, spans)
    if #text == HEAD_BYTES + spans * SPAN_BYTES then
        return text
    end
    return string.sub(text, 1, HEAD_BYTES)
        .. string.rep(string.sub(text, HEAD_BYTES + 1, HEAD_BYTES + SPAN_BYTES), spans)
end

-- The entries at a list's end that a wrong clock stamped become of now, or of the entry before
-- when that is later: that moment. They lead to no decision any longer.
local function mend_entries(list, now, writes)
    local mended, last = now, 0
    repeat
        local entries = call('LRANGE', list, -last - PAGE, -last - 1)
        local first = #entries + 1
        while first > 1 and unpack_bytes(TIME_FORM, entries[first - 1]) > now + AHEAD do
            first = first - 1
        end
        if first > 1 then
            mended = math.max(now, (unpack_bytes(TIME_FORM, entries[first - 1])))
        end
        last = last + #entries - first + 1
    until first > 1 or #entries < PAGE
    local ahead = writes and last > 0 and call('LRANGE', list, -last, -1) or {}
    for i, entry in ipairs(ahead) do
        call('LSET', list, i - last - 1, pack(TIME_FORM, mended)
            .. string.sub(entry, TIME_BYTES + 1, ENTRY_BYTES) .. TAG_OF_NONE)
    end
    return mended
end

-- The same of one of a message's histories (judge.lua), whose totals stand behind `from`.
local function mend(m, totals, key, list, from, spans)
    if totals[from + 1] <= m.now + AHEAD then
        return
    end
    totals[from + 1] = mend_entries(list, m.now, not m.dry)
    for i = from + 3, from + 3 * spans, 3 do
        if totals[i] > m.now + AHEAD then
            totals[i] = totals[from + 1]
        end
    end
    if not m.dry then
        call('SET', key, pack(from == 0 and MAILBOX_FORM or IP_FORM,
            unpack(totals, from + 1, from + 2 + 3 * spans)), 'KEEPTTL')
    end
end

-- Lets go of what has left a span by `cut`: its oldest entry, messages and off-domain recipients
-- then. Nothing is written: only an admitted message moves on.
local function left_of_span(list, cut, last, first, count, total)
    local step = 2
    if first > cut or count == 0 then
        return first, count, total
    end
    while last > cut and count > 0 do
        local entries = call('LRANGE', list, -count, math.min(step - count, 0) - 1)
        for i = 1, #entries do
            local time, weight = unpack_bytes(ENTRY_FORM, entries[i])
            if time > cut then
                return time, count, total
            end
            count, total = count - 1, total - weight
        end
        if #entries == 0 then
            break
        end
        step = math.min(step * 4, 128)
    end
    return 0, 0, 0
end

local function advance(totals, at, list, from, lengths)
    for i, length in ipairs(lengths) do
        local span = from + 3 * i
        totals[span], totals[span + 1], totals[span + 2] = left_of_span(list, at - length,
            totals[from + 1], totals[span], totals[span + 1], totals[span + 2])
    end
end

-- A message's totals, mended and moved on to the moment that it is judged at; and that moment.
local function move_on(m, text)
    local totals = {unpack_bytes(TOTALS_FORM, text)}
    mend(m, totals, m.key, m.list, 0, MAILBOX_SPANS)
    mend(m, totals, m.ip_key, m.ip_list, IP_AT, IP_SPANS)
    local at = math.max(m.now, totals[1], totals[IP_AT + 1])
    advance(totals, at, m.list, 0, {MAILBOX_LENGTHS})
    advance(totals, at, m.ip_list, IP_AT, {IP_LENGTHS})
    return pack(TOTALS_FORM, unpack(totals)), at
end

return {entries_of = entries_of, shaped = shaped, move_on = move_on}
