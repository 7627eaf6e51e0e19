-- Judges and counts one message; store.h says by which steps. `load` reads what the judgement
-- depends on, `decide` takes the steps of lib/rules/outcome.c, `apply` writes.
--
-- ARGV: deadline; given (bytes: GIVEN_FORM, ENDS_FORM, for who is refused REFUSED_FORM and its
-- durations); name of the mailbox's history, which is the mailbox or has a mark of its channel
-- behind it; name of the IP's or ''; charge key; decision; what its record keeps; fingerprint and
-- IP for the charge; lifetime of the record when admitted and when refused; who uses tickets adds
-- for how many recipients to leave and to redeem one, 0 for none.
--
-- Totals of a history: newest entry, generation; then of each span, the longest first, its oldest
-- entry, messages, off-domain recipients. A span's entries are the last ones of the list. Here the
-- mailbox's totals and behind them the IP's are local variables, ALL_TOTALS, and so are the
-- numbers that the counts may not reach, ALL_ENDS: redis_script.c writes what is done with each.
--
-- m is the message and what was seen of it. A table, or a variable that a function has from
-- outside, costs more than most of what is done, so there are few; what the usual message, one that
-- is simply admitted, does not need is in other files.
local now, weight, mode, tag = unpack_bytes(GIVEN_FORM, ARGV[2])
local name, ip = ARGV[3], ARGV[4]
local m = {
    now = now, weight = weight, tag = tag, mailbox = name, ip = ip, charge = ARGV[5],
    key = TOTALS .. name, list = HISTORY .. name, ip_key = TOTALS .. ip, ip_list = HISTORY .. ip,
    -- by `load`: the moment that it is judged at; the totals as bytes; by how much a history was
    -- ahead; whether it fits and leaves room for one more in every window that held others
    at = now, text = '', ahead = 0, roomy = false,
    -- and where there are such: suspension, stamped_ahead (a wrong clock did), replaced and
    -- counted_before (what was charged under the id before, and is this very submission), ticket
}
if mode > 0 then
    m.rejected = mode % (2 * MODE_REJECTED) >= MODE_REJECTED
    m.dry = mode % (2 * MODE_DRY_RUN) >= MODE_DRY_RUN
    m.observe = mode % (2 * MODE_OBSERVE) >= MODE_OBSERVE
    m.no_attempt = mode % (2 * MODE_NO_ATTEMPT) >= MODE_NO_ATTEMPT
    m.mailbox = mode >= MODE_MARKED and string.match(name, '^(.*) %S+$') or name
end

-- ---- load ----

-- All that the judgement depends on.
local function load(m)
    local at, state = m.now, nil
    if m.ip == '' then
        state = call('MGET', m.key, SUSPENSION .. m.mailbox, CHARGE .. m.charge)
    else
        state = call('MGET', m.key, SUSPENSION .. m.mailbox, CHARGE .. m.charge, m.ip_key)
    end
    local sent, network = state[1] or MAILBOX_EMPTY, state[4] or IP_EMPTY
    if #sent ~= MAILBOX_BYTES or #network ~= IP_BYTES then
        sent = histories().shaped(sent, MAILBOX_SPANS)
        network = histories().shaped(network, IP_SPANS)
    end
    local text = sent .. network
    local ALL_TOTALS = unpack_bytes(TOTALS_FORM, text)
    if MAILBOX_NEWEST > at or IP_NEWEST > at then
        at = math.max(MAILBOX_NEWEST, IP_NEWEST)
        m.ahead = at - m.now
    end
    if m.ahead > AHEAD or LEFT_ANY then
        text, at = histories().move_on(m, text)
        ALL_TOTALS = unpack_bytes(TOTALS_FORM, text)
    end
    local ALL_ENDS = unpack_bytes(ENDS_FORM, ARGV[2], ENDS_PLACE)
    m.at, m.text, m.roomy = at, text, ROOM_IN_ALL
    if state[2] then
        m.suspension, m.stamped_ahead = suspensions().in_force(state[2], m.now)
    end
    if state[3] then
        local time, _, generation, fingerprint = unpack_bytes(CHARGE_FORM, state[3])
        m.replaced = true
        m.counted_before = fingerprint == string.sub(ARGV[8], 1, FINGERPRINT_BYTES)
            and generation == MAILBOX_GENERATION and time % REDEEMED > at - COUNTED_KNOWN
    end
    if ARGV[11] and not m.counted_before and (not m.suspension or m.observe) then
        m.ticket = tickets().find(m)
    end
end

-- ---- decide ----

-- The steps, in order: the first that applies is the outcome; and the rule by which the message
-- suspends its mailbox. What leaves room for more is over nothing.
local function decide(m)
    if m.counted_before then
        return OUTCOME_REPEATED
    elseif m.ticket then
        return OUTCOME_REDEEMED
    elseif m.observe then
        return OUTCOME_ADMITTED
    elseif m.suspension then
        return OUTCOME_SUSPENDED
    elseif m.rejected then
        return OUTCOME_REJECTED
    elseif not m.roomy then
        local windows = refusals(m)
        local rule = windows.suspending_rule()
        if rule then
            return OUTCOME_SUSPENDED, rule
        elseif windows.any_over() then
            return OUTCOME_OVER
        end
    end
    return OUTCOME_ADMITTED
end

-- ---- apply ----

-- Appends to a history and sets its totals. What is done now and then costs less than with every
-- message: entries that no longer count go when there are some of them; that both keys expire
-- together is moved on twelve times in a length, and whenever clocks differ.
local function count_in(m, key, list, length, last, messages, entry, packed)
    local kept, slack, at = call('RPUSH', list, entry), length / 12, m.at
    if kept > messages + PAST_AT_ONCE then
        call('LTRIM', list, -messages, -1)
    end
    if kept > 1 and at == m.now and at - at % slack == last - last % slack then
        call('SET', key, packed, 'KEEPTTL')
    else
        local ttl = string.format('%d', at - m.now + length + slack + MARGIN)
        call('SET', key, packed, 'PX', ttl)
        call('PEXPIRE', list, ttl)
    end
end

local function count_message(m, entry)
    local at, weight, tag = m.at, m.weight, m.tag
    local ALL_TOTALS = unpack_bytes(TOTALS_FORM, m.text)
    if at > m.now then -- the tag's upper bits tell how far it is to the time of the decision's id
        local number = unpack_bytes(TAG_FORM, tag)
        tag = pack(TAG_FORM, math.min(number + (at - m.now) * TAG_STEP, TAG_MOST))
    end
    local tagged = entry .. tag
    count_in(m, m.key, m.list, MAILBOX_LONGEST, MAILBOX_NEWEST, MAILBOX_MESSAGES + 1, tagged,
        pack(MAILBOX_FORM, MAILBOX_COUNTED))
    if m.ip ~= '' then
        count_in(m, m.ip_key, m.ip_list, IP_LONGEST, IP_NEWEST, IP_MESSAGES + 1, tagged,
            pack(IP_FORM, IP_COUNTED))
    end
    local generation = string.sub(m.text, TIME_BYTES + 1, HEAD_BYTES)
    call('SET', CHARGE .. m.charge, entry .. generation .. ARGV[8] .. '#' .. tag, 'PX',
        at == m.now and CHARGE_LIFETIME
            or string.format('%d', at - m.now + COUNTED_KNOWN + MARGIN))
    if ARGV[11] then
        tickets().leave(m)
    end
end

local function keep_record(m, entry, outcome, passes)
    local lifetime = passes and ARGV[9] or ARGV[10]
    if m.at > m.now then
        lifetime = string.format('%d', lifetime + m.at - m.now)
    end
    call('SET', DECISION .. ARGV[6], outcome .. RECORD_SHAPE .. entry .. m.text .. ARGV[7],
        'PX', lifetime)
    if call('RPUSH', LOG, ARGV[6]) > LOG_MAX + LOG_SLACK then
        call('LTRIM', LOG, -LOG_MAX, -1)
    end
    if not passes then
        if call('RPUSH', REFUSED .. m.mailbox, ARGV[6]) > REFUSED_MAX then
            call('LTRIM', REFUSED .. m.mailbox, -REFUSED_MAX, -1)
        end
        call('PEXPIRE', REFUSED .. m.mailbox, lifetime)
    end
end

-- What takes effect; `suspension` is the one that is in force then.
local function apply(m, entry, outcome, rule, passes)
    if m.stamped_ahead then
        suspensions().keep(m.mailbox, m.suspension, m.now)
        call('ZADD', OFFENCES .. m.suspension.cause .. ':' .. m.mailbox, 'XX',
            m.suspension.since_ms, m.suspension.id)
    end
    if outcome == OUTCOME_ADMITTED then
        count_message(m, entry)
    elseif rule then
        m.suspension = refusals(m).suspend(rule)
    elseif outcome == OUTCOME_SUSPENDED and not m.no_attempt then
        refusals(m).count_attempt()
    elseif outcome == OUTCOME_REDEEMED then
        tickets().redeem(m)
    end
    keep_record(m, entry, outcome, passes)
end

-- ---- the answer ----

load(m)
local outcome, rule = decide(m)
local entry = pack(ENTRY_FORM, m.at, weight)
local passes = outcome == OUTCOME_ADMITTED or outcome == OUTCOME_REPEATED
    or outcome == OUTCOME_REDEEMED
if not m.dry then
    apply(m, entry, outcome, rule, passes)
end
-- Entry, totals before, this server's time: all there is to say of most messages.
local answer = entry .. m.text .. clock[1] .. '.' .. clock[2]
if m.ahead > AHEAD then
    answer = answer .. string.format(' %d', m.ahead)
end
local forecasts = m.dry or not passes or not m.roomy and not m.observe
if outcome == OUTCOME_ADMITTED and not m.suspension and not forecasts then
    return answer
end
local entries_of = histories().entries_of
return {
    answer, outcome, m.suspension and suspensions().told(m.suspension) or false, rule and 1 or 0,
    forecasts and entries_of(name) or '', forecasts and ip ~= '' and entries_of(ip) or '',
}
