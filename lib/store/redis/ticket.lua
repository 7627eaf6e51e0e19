-- tickets(): those of a mailbox, a sorted set by their end. A member is the number of recipients
-- and the key of the charge. m is the message of judge.lua; its ARGV[11]: for how many recipients
-- it leaves a ticket and redeems one, 0 for none.

-- The charge gets no refund any longer: the upper bit of its time says so.
local function mark_redeemed(charge)
    local first = call('GETRANGE', CHARGE .. charge, 0, 0)
    if first ~= '' and string.byte(first) < 128 then
        call('SETRANGE', CHARGE .. charge, 0, string.char(string.byte(first) + 128))
    end
end

-- The ticket of that submission goes.
local function drop_ticket(mailbox, charge)
    for _, ticket in ipairs(call('ZRANGE', TICKET .. mailbox, 0, -1)) do
        if string.sub(ticket, WEIGHT_BYTES + 1) == charge then
            call('ZREM', TICKET .. mailbox, ticket)
        end
    end
end

-- The oldest ticket for so many recipients. One that ends later than any was left by a clock that
-- was wrong, and stands for no message.
local function find_ticket(m)
    local wanted, first, page = string.sub(ARGV[11], WEIGHT_BYTES + 1), 0, nil
    if wanted == pack(WEIGHT_FORM, 0) then
        return nil
    end
    repeat
        page = call('ZRANGEBYSCORE', TICKET .. m.mailbox, string.format('(%d', m.at),
            string.format('%d', m.at + TICKET_TIME + AHEAD), 'LIMIT', first, PAGE)
        for i = 1, #page do
            if string.sub(page[i], 1, WEIGHT_BYTES) == wanted then
                return page[i]
            end
        end
        first = first + PAGE
    until #page < PAGE
end

-- Takes it away.
local function redeem_ticket(m)
    call('ZREM', TICKET .. m.mailbox, m.ticket)
    mark_redeemed(string.sub(m.ticket, WEIGHT_BYTES + 1))
end

local function leave_ticket(m)
    local recipients, tickets = string.sub(ARGV[11], 1, WEIGHT_BYTES), TICKET .. m.mailbox
    if recipients == pack(WEIGHT_FORM, 0) then
        return
    end
    call('ZREMRANGEBYSCORE', tickets, '-inf', string.format('%d', m.at - MARGIN))
    call('ZREMRANGEBYSCORE', tickets, string.format('(%d', m.at + TICKET_TIME + AHEAD), '+inf')
    if m.replaced then -- another submission that was counted under this id
        drop_ticket(m.mailbox, m.charge)
    end
    call('ZADD', tickets, string.format('%d', m.at + TICKET_TIME), recipients .. m.charge)
    call('PEXPIRE', tickets, string.format('%d', m.at - m.now + TICKET_TIME + MARGIN))
end

return {find = find_ticket, redeem = redeem_ticket, leave = leave_ticket, drop = drop_ticket}
