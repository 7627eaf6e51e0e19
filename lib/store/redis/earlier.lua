-- earlier(): histories and charges of the version before, which had other keys and forms
-- (redis_format.h). A history becomes the new key when it is first touched; charges are read as
-- they are until they expire.

-- The list of a history and its totals as one text, in that version's numbers of spans.
local function joined(mailbox, totals, entries)
    local spans = math.floor((#totals - EARLIER_HEAD_BYTES) / EARLIER_SPAN_BYTES)
    local parts = {}
    for i, entry in ipairs(entries) do
        local made = string.sub(entry, 1, ENTRY_BYTES)
        if mailbox then
            local tag, number = 0, EARLIER_TAG_OF_NONE
            if #entry > ENTRY_BYTES then
                number = unpack_bytes(EARLIER_TAG_FORM, entry, ENTRY_BYTES + 1)
            end
            if number < EARLIER_TAG_OF_NONE then
                local before = math.floor(number / NUMBERS_END)
                tag = (NEAR_TIME - before) * NUMBERS_END + number % NUMBERS_END
            end
            made = made .. IDENTITY_OF_NONE .. pack(TAG_FORM, tag)
        end
        parts[i] = made
    end
    parts[#parts + 1] = string.sub(totals, 1, TIME_BYTES)
    for span = 1, spans do
        local oldest, messages, sum = unpack_bytes(EARLIER_SPAN_FORM, totals,
            EARLIER_HEAD_BYTES + (span - 1) * EARLIER_SPAN_BYTES + 1)
        parts[#parts + 1] = pack(SPAN_FORM, oldest, messages, sum)
    end
    parts[#parts + 1] = string.char(spans * 16 + 1) -- no channels were kept: one share
    return table.concat(parts)
end

-- The history of that key as this version has it, nil for none; takes its place if it `writes`.
local function history(key, writes)
    local mailbox = string.sub(key, 1, #MAILBOX_KEY) == MAILBOX_KEY
    local name = string.sub(key, 1 + (mailbox and #MAILBOX_KEY or #IP_KEY))
    local totals = call('GET', EARLIER_TOTALS .. name)
    if not totals then
        return nil
    end
    local of = mailbox and histories().of_mailbox or histories().of_ip
    local text = histories().shaped(of,
        joined(mailbox, totals, call('LRANGE', EARLIER_HISTORY .. name, 0, -1)))
    if writes then
        local left = call('PTTL', EARLIER_TOTALS .. name)
        if left > 0 then
            call('SET', key, text, 'PX', left)
        else
            call('SET', key, text)
        end
        call('DEL', EARLIER_TOTALS .. name, EARLIER_HISTORY .. name)
    end
    return text
end

-- The history with the id at the entry of that charge, and the name of the IP's history that the
-- message counted in; nil when there is no such charge or its entry is no longer counted.
local function charged(text, id, charge, fingerprint, short)
    local kept = call('GET', EARLIER_CHARGE .. charge)
    if not kept then
        return nil
    end
    local time, weight, _, given, place = unpack_bytes(EARLIER_CHARGE_FORM, kept)
    local redeemed = time >= EARLIER_REDEEMED_TIME
    local wanted = pack(ENTRY_FORM, time % EARLIER_REDEEMED_TIME, weight) .. IDENTITY_OF_NONE
    local of, ip = histories().of_mailbox, string.sub(kept, place)
    local offset = histories().offset_of(of, text, wanted, 0)
    if string.sub(ip, -EARLIER_TAG_BYTES - 1, -EARLIER_TAG_BYTES - 1) == '#' then
        local number = unpack_bytes(EARLIER_TAG_FORM, ip, #ip - EARLIER_TAG_BYTES + 1)
        local before = math.floor(number / NUMBERS_END)
        local tag = number < EARLIER_TAG_OF_NONE
            and (NEAR_TIME - before) * NUMBERS_END + number % NUMBERS_END or 0
        offset = histories().offset_of(of, text, wanted .. pack(TAG_FORM, tag), 0) or offset
        ip = string.sub(ip, 1, -EARLIER_TAG_BYTES - 2)
    end
    if not offset then
        return nil
    end
    local first = string.byte(text, offset + 1)
    return string.sub(text, 1, offset) .. string.char(first + (redeemed and 128 or 0))
        .. string.sub(text, offset + 2, offset + ENTRY_BYTES)
        .. id .. (given == fingerprint and short or FINGERPRINT_OF_NONE)
        .. string.sub(text, offset + ENTRY_BYTES + #IDENTITY_OF_NONE + 1), ip
end

return {history = history, charged = charged}
