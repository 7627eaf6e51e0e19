-- Reading. ARGV: deadline, act, then what it needs. Answers as store_act.lua.
-- Writes nothing: what has ended is passed over.
local acts = {}

-- The moment that the history is seen at, its entries, the suspension.
function acts.account(mailbox, now)
    local totals = call('GET', TOTALS .. mailbox)
    local newest = totals and unpack_bytes('>I6', totals) or 0
    now = tonumber(now)
    return {math.max(now, newest), table.concat(call('LRANGE', HISTORY .. mailbox, 0, -1)),
        told(in_force(call('GET', SUSPENSION .. mailbox), now))}
end

-- The mailboxes after `after` in order of name, each with its suspension.
function acts.suspended(after, now, max)
    local found, PAGE = {}, 256
    max = tonumber(max)
    while #found < 2 * max do
        local names = call('ZRANGEBYLEX', SUSPENDED, after == '' and '-' or '(' .. after, '+',
            'LIMIT', 0, PAGE)
        for _, name in ipairs(names) do
            local suspension = in_force(call('GET', SUSPENSION .. name), tonumber(now))
            if suspension and #found < 2 * max then
                found[#found + 1], found[#found + 2] = name, told(suspension)
            end
        end
        if #names < PAGE then
            break
        end
        after = names[PAGE]
    end
    return found
end

-- The changes after number `after`, each the array that store_act.lua kept.
function acts.adjustments(after, max)
    local found = {}
    for i, field in ipairs(call('ZRANGEBYSCORE', 'sg:adjustments:changes',
        '(' .. after, '+inf', 'LIMIT', 0, max)) do
        found[i] = cjson.decode(call('HGET', 'sg:adjustments', field))
    end
    return found
end

function acts.record(decision)
    return call('GET', DECISION .. decision)
end

function acts.audit(from, max)
    return call('XRANGE', 'sg:audit', from .. '-0', '+', 'COUNT', max)
end

return {server, 1, acts[ARGV[2]](unpack(ARGV, 3))}
