-- refusals(): what judge.lua needs for a message that may be refused, of which C gives more: the
-- windows that suspend (count and rule, a byte each), retries, the attempt, durations.
local m = ...
local mailbox = m.mailbox
local ends = {unpack_bytes(ENDS_FORM, ARGV[2], ENDS_PLACE)}
local suspending, retries, attempt, last, first = unpack_bytes(REFUSED_FORM, ARGV[2], ends[#ends])
local keep = suspensions().keep

-- Whether the count of that number is so high that the message does not fit.
local function is_over(count)
    local totals, from, of = {unpack_bytes(TOTALS_FORM, m.text)}, 0, count - 1
    if count >= IP_FIRST_COUNT then
        from, of = IP_AT, count - IP_FIRST_COUNT
    end
    return totals[from + 4 + 3 * math.floor(of / 2) + of % 2] >= ends[count]
end

local function any_over()
    for count = 1, COUNTS do
        if is_over(count) then
            return true
        end
    end
    return false
end

-- Of the windows that are over the first that suspends: its rule. C names only those that the
-- message could fit into.
local function suspending_rule()
    for i = 1, #suspending, 2 do
        if is_over(string.byte(suspending, i)) then
            return RULE_NAMES[string.byte(suspending, i + 1)]
        end
    end
end

-- An attempt while suspended: one that is known does nothing; what comes when as many are known
-- as are kept is counted and moves nothing.
local function count_attempt()
    local suspension = m.suspension
    local tried, known_again = call('GET', TRIED .. mailbox) or '', attempt ~= ATTEMPT_OF_NONE
    for i = 1, known_again and #tried or 0, ATTEMPT_BYTES do
        local half = i + ATTEMPT_BYTES / 2
        if string.sub(tried, i, half - 1) == string.sub(attempt, 1, ATTEMPT_BYTES / 2)
            or string.sub(tried, half, i + ATTEMPT_BYTES - 1)
                == string.sub(attempt, ATTEMPT_BYTES / 2 + 1) then
            return
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
        call('APPEND', TRIED .. mailbox, attempt)
    end
    keep(mailbox, suspension, m.now)
end

local function suspend(rule)
    local durations = {unpack_bytes('>' .. string.rep(DURATION_FORM, last), ARGV[2], first)}
    durations[last + 1] = nil
    local suspension = suspensions().new(mailbox, CAUSE_VOLUME, durations, m.at, BY_GUARD, rule)
    if attempt ~= ATTEMPT_OF_NONE then -- no attempt when it is tried again
        call('APPEND', TRIED .. mailbox, attempt)
        keep(mailbox, suspension, m.at)
    end
    return suspension
end

return {
    any_over = any_over, suspending_rule = suspending_rule, count_attempt = count_attempt,
    suspend = suspend,
}
