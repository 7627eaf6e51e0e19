-- refunds(): taking a message out of the windows, once.

-- Takes the message out of the history of the IP that it counted in. That it has left the IP's
-- windows is no error.
local function uncount_ip(ip, entry)
    local key = IP_KEY .. ip
    local text = histories().read(key, true)
    local offset = text and histories().offset_of(histories().of_ip, text,
        string.sub(entry, 1, ENTRY_BYTES), 0)
    if offset then
        histories().take_out(key, text, offset)
    end
end

-- 1 when it is refunded, else 0. charge: what the version before kept it under.
local function refund(mailbox, id, charge, now)
    local key, ip = MAILBOX_KEY .. mailbox, nil
    tickets().drop(mailbox, id, charge)
    local text = histories().read(key, true)
    local offset = text and histories().offset_of_id(text, id)
    if text and not offset then
        local found, of_ip = earlier().charged(text, id, charge, '', '')
        text, ip = found or text, of_ip
        offset = found and histories().offset_of_id(text, id)
    end
    if not offset then
        return 0
    end
    local time, _, _, redeemed = histories().entry_at(text, offset)
    local entry = string.sub(text, offset + 1, offset + MAILBOX_EACH)
    if redeemed or time <= now - COUNTED_KNOWN
        or not histories().take_out(key, text, offset) then
        return 0
    end
    call('DEL', EARLIER_CHARGE .. charge)
    ip = ip or records().network_of_entry(entry, now)
    if ip and ip ~= '' then
        uncount_ip(ip, entry)
    end
    return 1
end

return {refund = refund}
