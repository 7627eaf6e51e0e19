-- tickets(): those of a mailbox, a sorted set by their end. A member is the number of recipients
-- and the hash of the submission's id; the version before had the key of a charge in its place. m
-- is the message of particular.lua.

-- The moment of m for tickets, which hold from now on also where it counts as of an earlier one.
local function moment_of(m)
    return math.max(m.at, m.now)
end

-- The submission gets no refund any longer: the upper bit of its time says so.
local function mark_redeemed(mailbox, named)
    local key, offset, first = MAILBOX_KEY .. mailbox, 0, nil
    if #named > ID_BYTES then
        key = EARLIER_CHARGE .. named
    else
        local text = call('GET', key)
        offset = text and histories().offset_of_id(text, named)
    end
    first = offset and call('GETRANGE', key, offset, offset) or ''
    if first ~= '' and string.byte(first) < 128 then
        call('SETRANGE', key, offset, string.char(string.byte(first) + 128))
    end
end

-- The ticket of that submission goes.
local function drop_ticket(mailbox, id, charge)
    for _, ticket in ipairs(call('ZRANGE', TICKET .. mailbox, 0, -1)) do
        local named = string.sub(ticket, WEIGHT_BYTES + 1)
        if named == id or named == charge then
            call('ZREM', TICKET .. mailbox, ticket)
        end
    end
end

-- Whether its message is to wait.
local function waits(ticket)
    return unpack_bytes(WEIGHT_FORM, ticket) >= TICKET_WAITS
end

-- The oldest ticket for so many recipients. One that ends later than any was left by a clock that
-- was wrong, and stands for no message.
local function find_ticket(m)
    local wanted, first, page = pack(WEIGHT_FORM, m.redeems), 0, nil
    local wanted_too = pack(WEIGHT_FORM, m.redeems + TICKET_WAITS)
    repeat
        page = call('ZRANGEBYSCORE', TICKET .. m.mailbox, string.format('(%d', moment_of(m)),
            string.format('%d', moment_of(m) + TICKET_TIME + AHEAD), 'LIMIT', first, PAGE)
        for i = 1, #page do
            local weight = string.sub(page[i], 1, WEIGHT_BYTES)
            if weight == wanted or weight == wanted_too then
                return page[i]
            end
        end
        first = first + PAGE
    until #page < PAGE
end

-- Takes it away.
local function redeem_ticket(m)
    call('ZREM', TICKET .. m.mailbox, m.ticket)
    mark_redeemed(m.mailbox, string.sub(m.ticket, WEIGHT_BYTES + 1))
end

local function leave_ticket(m)
    local tickets, at = TICKET .. m.mailbox, moment_of(m)
    call('ZREMRANGEBYSCORE', tickets, '-inf', string.format('%d', at - MARGIN))
    call('ZREMRANGEBYSCORE', tickets, string.format('(%d', at + TICKET_TIME + AHEAD), '+inf')
    -- another submission may have left one under this id
    drop_ticket(m.mailbox, m.id, string.sub(m.charge, 1, EARLIER_CHARGE_BYTES))
    call('ZADD', tickets, string.format('%d', at + TICKET_TIME),
        pack(WEIGHT_FORM, m.leaves + (m.waits and TICKET_WAITS or 0)) .. m.id)
    call('PEXPIRE', tickets, string.format('%d', at - m.now + TICKET_TIME + MARGIN))
end

return {
    find = find_ticket, redeem = redeem_ticket, leave = leave_ticket, drop = drop_ticket,
    waits = waits,
}
