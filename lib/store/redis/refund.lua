-- refunds(): taking a message out of the windows, once. First everything is read that may be
-- damaged, then it changes.

-- Where the message counts in the history of its IP or its domain, which does not know what was
-- redeemed; nil when it has left the hour there.
local function find_other(of, key, entry)
    local text = histories().read(key)
    local offset = text and histories().offset_of(of, text,
        string.char(string.byte(entry) % 128) .. string.sub(entry, 2, ENTRY_BYTES), 0)
    return offset and {key = key, text = text, offset = offset}
end

-- Where the message counts, for take_out; nil when there is nothing to refund. charge: what the
-- version before kept it under; '': it is one whose ticket was redeemed. Changes nothing but that
-- the ticket goes.
local function find(mailbox, id, charge, now)
    local key, of_redeemed, ip = MAILBOX_KEY .. mailbox, charge == '', nil
    if not of_redeemed then
        tickets().drop(mailbox, id, charge)
    end
    local text = histories().read(key)
    local offset = text and histories().offset_of_id(text, id)
    if text and not offset and not of_redeemed then
        local found, of_ip = earlier().charged(text, id, charge, '', '')
        text, ip = found or text, of_ip
        offset = found and histories().offset_of_id(text, id)
    end
    if not offset then
        return nil
    end
    local time, _, _, redeemed = histories().entry_at(text, offset)
    if redeemed ~= of_redeemed or time <= now - COUNTED_KNOWN then
        return nil
    end
    local entry = string.sub(text, offset + 1, offset + MAILBOX_EACH)
    local names = ip or records().network_of_entry(entry, now) or ''
    local network, domain = string.match(names, '^([^\n]*)\n?(.*)$')
    return {
        key = key, text = text, offset = offset, charge = charge, mailbox = mailbox,
        for_recipients = recipients().find(mailbox, entry),
        in_ip = network ~= '' and find_other(histories().of_ip, IP_KEY .. network, entry) or nil,
        in_domain = domain ~= ''
            and find_other(histories().of_domain, DOMAIN_KEY .. domain, entry) or nil,
    }
end

-- What the version before kept gets its new key first.
local function take_out_of(place)
    histories().read(place.key, true)
    return histories().take_out(place.key, place.text, place.offset)
end

-- 1 when it is refunded; 0 when the mailbox's longest span has let go of it.
local function take_out(found)
    if not take_out_of(found) then
        return 0
    end
    if found.charge ~= '' then
        call('DEL', EARLIER_CHARGE .. found.charge)
    end
    if found.in_ip then
        take_out_of(found.in_ip)
    end
    if found.in_domain then
        take_out_of(found.in_domain)
    end
    recipients().put(found.mailbox, found.for_recipients)
    return 1
end

return {find = find, take_out = take_out}
