-- refusals(): what particular.lua needs for a message that may be refused, of which C gives more: the
-- message's shares of the mailbox, the IP and the domain; the windows that suspend (count and rule, a byte
-- each), retries, the attempt, durations.
local m = ...
local mailbox = m.mailbox
local ends = {unpack_bytes(ENDS_FORM, m.given, ENDS_PLACE)}
local share, ip_share, group_share, suspending, retries, attempt, last, first =
    unpack_bytes(REFUSED_FORM, m.given, m.windows)
local keep, tried_of = suspensions().keep, suspensions().tried_of

-- The count of that number (packed_record.h): of all shares, or of one.
local function used(count, of_mailbox, of_ip, of_domain)
    local text, form, bytes, shares, only = m.text, MAILBOX_FORM, MAILBOX_BYTES, MAILBOX_SHARES,
        of_mailbox
    if count >= DOMAIN_FIRST_COUNT then
        text, form, bytes, shares, only = m.group, DOMAIN_FORM, DOMAIN_BYTES, DOMAIN_SHARES,
            of_domain
        count = count - DOMAIN_FIRST_COUNT
    elseif count >= IP_FIRST_COUNT then
        text, form, bytes, shares, only = m.network, IP_FORM, IP_BYTES, IP_SHARES, of_ip
        count = count - IP_FIRST_COUNT
    end
    local totals, sum = {unpack_bytes(form, text, #text - bytes + 1)}, 0
    local at = 3 + math.floor(count / 2) * (1 + 2 * shares) + count % 2
    for one = only or 0, only or shares - 1 do
        sum = sum + totals[at + 2 * one]
    end
    return sum
end

-- Whether the count is so high that the message does not fit.
local function is_over(count, of_mailbox, of_ip, of_domain)
    return used(count, of_mailbox, of_ip, of_domain) >= ends[count + 1]
end

-- Whether a recipient has no room.
local function recipient_over()
    return m.window and #m.window.over > 0
end

local function any_over()
    if recipient_over() then
        return true
    end
    for count = 0, COUNTS - 1 do
        if is_over(count) then
            return true
        end
    end
    return false
end

-- Of the windows that are over the first that suspends: its rule. What came by the message's own
-- channel must be too much by itself. C names only those that the message could fit into.
local function suspending_rule()
    for i = 1, #suspending, 2 do
        local count = string.byte(suspending, i)
        if is_over(count, share, ip_share, group_share) then
            return RULE_NAMES[string.byte(suspending, i + 1)]
        end
    end
    if recipient_over() and math.floor(m.window_flags / WINDOW_SUSPENDS) % 2 == 1
        and m.recipient_limit > 0 and m.window.own >= m.recipient_limit then
        return RECIPIENT_RULE
    end
end

-- An attempt while suspended: one that the suspension knows does nothing; what comes when it knows as
-- many as are kept is counted and moves nothing. Whether it counted.
local function count_attempt(suspension)
    local key, known_again = tried_of(mailbox, suspension.cause), attempt ~= ATTEMPT_OF_NONE
    local tried = call('GET', key) or ''
    for i = 1, known_again and #tried or 0, ATTEMPT_BYTES do
        local half = i + ATTEMPT_BYTES / 2
        if string.sub(tried, i, half - 1) == string.sub(attempt, 1, ATTEMPT_BYTES / 2)
            or string.sub(tried, half, i + ATTEMPT_BYTES - 1)
                == string.sub(attempt, ATTEMPT_BYTES / 2 + 1) then
            return false
        end
    end
    local full = #tried >= ATTEMPT_BYTES * ATTEMPTS_MAX
    -- of an earlier version; when that moved its end, nobody knows how long it lasted first
    if suspension.until_ms and not suspension.lasts_ms and suspension.attempts < 10 then
        suspension.lasts_ms = suspension.until_ms - suspension.since_ms
    end
    suspension.attempts = suspension.attempts + 1
    if suspension.until_ms and suspension.cause == CAUSE_VOLUME and suspension.attempts >= retries
        and not full then
        local lasts = suspension.lasts_ms
            or math.min(suspension.until_ms - suspension.since_ms, UNKNOWN_LENGTH)
        suspension.until_ms = math.max(suspension.until_ms, m.now + lasts)
    end
    if known_again and not full then
        call('APPEND', key, attempt)
    end
    return true
end

-- Of each suspension that holds.
local function count_attempts()
    local counted = false
    for _, suspension in ipairs(m.held) do
        counted = count_attempt(suspension) or counted
    end
    if counted then
        keep(mailbox, m.kept, m.now)
    end
end

local function suspend(rule)
    local durations = {unpack_bytes('>' .. string.rep(DURATION_FORM, last), m.given, first)}
    durations[last + 1] = nil
    local suspension = suspensions().new(mailbox, m.kept, nil, CAUSE_VOLUME, durations, m.at,
        BY_GUARD, rule)
    if attempt ~= ATTEMPT_OF_NONE then -- no attempt when it is tried again
        call('APPEND', tried_of(mailbox, CAUSE_VOLUME), attempt)
        keep(mailbox, m.kept, m.at)
    end
    return suspension
end

return {
    any_over = any_over, suspending_rule = suspending_rule, count_attempts = count_attempts,
    suspend = suspend,
}
