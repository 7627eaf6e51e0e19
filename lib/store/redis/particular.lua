-- particulars(): what judge.lua does with a message that is not simply admitted. m is the message
-- and what was seen of it. C gives more of such a message, PARTICULAR_FORM.

-- Whether a bit of `mode` is set.
local function has(mode, bit)
    return math.floor(mode / bit) % 2 == 1
end

-- The texts of both histories where the version before may have left some.
local function bring_earlier(given, place, mode, key, text, ip_key, network, id, entry)
    local writes = not has(mode, MODE_DRY_RUN)
    if text == MAILBOX_EMPTY then
        text = earlier().history(key, writes) or text
    end
    if ip_key ~= '' and network == IP_EMPTY then
        network = earlier().history(ip_key, writes) or network
    end
    text = histories().reshaped(key, text, writes)
    if not histories().offset_of_id(text, id) then
        local charge = unpack_bytes(CHARGE_FORM, given, place)
        text = earlier().charged(text, id, string.sub(charge, 1, EARLIER_CHARGE_BYTES),
            string.sub(charge, EARLIER_CHARGE_BYTES + 1),
            string.sub(entry, FINGERPRINT_PLACE, FINGERPRINT_PLACE + FINGERPRINT_BYTES - 1)) or text
    end
    return text, network
end

-- The block that holds, its mark before its bytes: this value, or `other`, whichever ends later. '':
-- none does; DAMAGED: nor can it be read.
local function block_of(mark, value, now, other)
    if not value then
        return other
    end
    local bytes, kept, format, from, ends, _, hint = string.sub(value, VALUE_HEAD_BYTES + 1), 0
    if #value >= VALUE_HEAD_BYTES then
        _, kept = unpack_bytes(VALUE_FORM, value)
    end
    if #bytes == BLOCK_BYTES then
        format, from, ends, _, hint = unpack_bytes(BLOCK_FORM, bytes)
    end
    if kept > 0 and kept <= now then
        return other
    elseif format ~= BLOCK_FORMAT or hint >= HINTS then
        return other ~= '' and other or DAMAGED
    elseif now < from or now >= ends
        or #other > 1 and select(3, unpack_bytes(BLOCK_FORM, other, 2)) >= ends then
        return other
    end
    return mark .. bytes
end

-- What stands behind the totals of a record, with a mark and, in base 16, bytes in the place of an
-- IP (packed_record.h).
local function with_link(tail, mark, bytes)
    local place, link = 2 + 2 * string.byte(tail, 1), mark
    for i = 1, #bytes do
        link = link .. string.format('%02x', string.byte(bytes, i))
    end
    return string.sub(tail, 1, place - 1) .. string.char(#link) .. link
        .. string.sub(tail, place + 1 + string.byte(tail, place))
end

-- m with all that the judgement depends on.
local function seen(given, place, mode, key, suspension_key, suspended, ip_key, now, at, ahead,
    text, network, roomy, id, entry, number, block, own_block, group_key, group)
    local m = {
        key = key, ip_key = ip_key, now = now, at = at, ahead = ahead, text = text,
        network = network, group_key = group_key, group = group, roomy = roomy, id = id, number = number, given = given,
        mailbox = string.sub(suspension_key, #SUSPENSION + 1),
        dry = has(mode, MODE_DRY_RUN), observe = has(mode, MODE_OBSERVE),
        rejected = has(mode, MODE_REJECTED), no_attempt = has(mode, MODE_NO_ATTEMPT),
        trims = has(mode, MODE_TRIM), earlier = mode >= MODE_EARLIER,
        block = block_of(OF_MAILBOX, own_block, now, block_of(OF_DOMAIN, block, now, '')),
        kept = suspensions().read(suspended), -- of these held, and mended: a wrong clock stamped
        -- and where there are such: replaced and counted_before (the entry that had the id before;
        -- whether it is this very submission), ticket; by `decide` outcome and rule (by which it
        -- suspends its mailbox)
    }
    m.charge, m.keep_admitted, m.keep_refused, m.leaves, m.redeems, m.more, m.window_flags,
        m.recipient_limit, m.recipients, m.windows = unpack_bytes(PARTICULAR_FORM, given, place)
    if m.recipients ~= '' then
        m.channel = math.floor(unpack_bytes(TIME_FORM, entry) / TIMES) % CHANNELS
        m.recipient_limit = m.recipient_limit < NO_END and m.recipient_limit or nil
        m.tells_window = has(m.window_flags, WINDOW_TOLD)
        m.of_recipients = recipients() -- made once
        m.window = m.of_recipients.look(m)
        m.roomy = roomy and m.window.roomy
    end
    m.held, m.mended = suspensions().in_force(m.kept, now)
    m.suspended, m.blocked = #m.held > 0, #m.block > 1
    m.replaced = histories().offset_of_id(text, id)
    if m.replaced then
        local known = string.sub(text, m.replaced + 1, m.replaced + MAILBOX_EACH)
        m.counted_before = histories().entry_at(text, m.replaced) > at - COUNTED_KNOWN
            and string.sub(known, FINGERPRINT_PLACE, FINGERPRINT_PLACE + FINGERPRINT_BYTES - 1)
                == string.sub(entry, FINGERPRINT_PLACE, FINGERPRINT_PLACE + FINGERPRINT_BYTES - 1)
    end
    if m.redeems > 0 and not m.counted_before and (not m.suspended or m.observe) then
        m.ticket = tickets().find(m)
    end
    return m
end

-- The steps, in order: the first that applies is the outcome. What leaves room for more is over
-- nothing.
local function outcome_of(m)
    if m.counted_before then
        return OUTCOME_REPEATED
    elseif m.ticket then
        return OUTCOME_REDEEMED
    elseif m.observe then
        return OUTCOME_ADMITTED
    elseif m.suspended then
        return OUTCOME_SUSPENDED
    elseif m.blocked then
        return OUTCOME_BLOCKED
    elseif m.rejected then
        return OUTCOME_REJECTED
    elseif not m.roomy then
        local windows = refusals(m)
        m.rule = windows.suspending_rule()
        if m.rule then
            return OUTCOME_SUSPENDED
        elseif windows.any_over() then
            return OUTCOME_OVER
        end
    end
    return OUTCOME_ADMITTED
end

local function decide(m)
    m.outcome = outcome_of(m)
    m.passes = m.outcome == OUTCOME_ADMITTED or m.outcome == OUTCOME_REPEATED
        or m.outcome == OUTCOME_REDEEMED
end

-- It is unusual, and is to come again later.
local function defer(m)
    m.outcome, m.passes = OUTCOME_UNUSUAL, false
end

-- What takes effect beside record and histories. Returns of the record its first bytes, what stands
-- behind the totals, and its kind; and whether the message counts.
local function effects(m, tail)
    if m.dry then
        return
    end
    for _, suspension in ipairs(m.mended) do
        call('ZADD', OFFENCES .. suspension.cause .. ':' .. m.mailbox, 'XX', suspension.since_ms,
            suspension.id)
    end
    if #m.mended > 0 then
        suspensions().keep(m.mailbox, m.kept, m.now)
    end
    if m.outcome == OUTCOME_ADMITTED and m.replaced then -- the older message has no id any longer
        local place = m.replaced + ENTRY_BYTES
        m.text = string.sub(m.text, 1, place) .. ID_OF_NONE
            .. string.sub(m.text, place + ID_BYTES + 1)
        call('SETRANGE', m.key, place, ID_OF_NONE)
        if m.earlier then
            call('DEL', EARLIER_CHARGE .. string.sub(m.charge, 1, EARLIER_CHARGE_BYTES))
        end
    elseif m.rule then
        m.held = {refusals(m).suspend(m.rule)}
    elseif m.outcome == OUTCOME_SUSPENDED and not m.no_attempt then
        refusals(m).count_attempts()
    elseif m.outcome == OUTCOME_REDEEMED then
        tickets().redeem(m)
        local named = string.sub(m.ticket, WEIGHT_BYTES + 1)
        tail = #named > ID_BYTES and tail or with_link(tail, '#', named)
    elseif m.outcome == OUTCOME_BLOCKED then
        tail = with_link(tail, string.sub(m.block, 1, 1), string.sub(m.block, 2))
    end
    local head = pack(RECORD_HEAD_FORM, RECORD_FORMAT, m.outcome, m.at,
        m.passes and m.keep_admitted or m.keep_refused, RECORD_SHAPE + (m.tells_window and 1 or 0))
    if m.tells_window then
        tail = pack(RECORD_TOTAL_FORM, m.window.used, 0) .. tail
    end
    return head, m.passes and tail or tail .. m.more, m.passes and ADMITTED or REFUSED,
        m.outcome == OUTCOME_ADMITTED
end

-- What is left to do when the record is kept under that millisecond.
local function finish(m, stamp)
    if m.outcome == OUTCOME_ADMITTED and m.leaves > 0 then
        tickets().leave(m)
    end
    if not m.passes then
        local list = REFUSED_OF .. m.mailbox
        local id = pack(SINCE_FORM, stamp - DECISION_EPOCH) .. m.number
        if call('RPUSH', list, id) > REFUSED_MAX then
            call('LTRIM', list, -REFUSED_MAX, -1)
        end
        call('PEXPIRE', list,
            string.format('%d', m.keep_refused * SECOND + m.at - m.now + MARGIN))
    end
    if m.trims then
        records().trim(m.now - MARGIN, TRIM_AT_ONCE)
    end
end

-- The answer; `told` is what is told of every message.
local function answer(m, told, stamp)
    if not m.dry then
        finish(m, stamp)
    end
    local forecasts = m.dry or not m.passes or not m.roomy and not m.observe
    if m.outcome == OUTCOME_ADMITTED and #m.held == 0 and m.block == '' and not forecasts
        and m.ahead <= AHEAD and not m.tells_window then
        return told
    end
    local entries_of, sent, sent_from, sent_by = histories().entries_of, '', '', ''
    local window, sent_to = '', ''
    if m.tells_window then
        window = pack(RECIPIENT_FORM, m.window.used, m.window.own) .. table.concat(m.window.over)
        sent_to = forecasts and m.of_recipients.told(m) or ''
    end
    if forecasts then
        local counted = not m.dry and m.outcome == OUTCOME_ADMITTED
        sent = entries_of(m.key, counted and call('GET', m.key) or m.text)
        if m.ip_key ~= '' then
            sent_from = entries_of(m.ip_key, counted and call('GET', m.ip_key) or m.network)
        end
        if m.group_key ~= '' then
            sent_by = entries_of(m.group_key, counted and call('GET', m.group_key) or m.group)
        end
    end
    return {
        told, m.ahead > AHEAD and m.ahead or 0, m.outcome,
        suspensions().told_all(m.held), m.rule and 1 or 0, m.block,
        sent, sent_from, sent_by, window, sent_to,
    }
end

return {
    earlier = bring_earlier, seen = seen, decide = decide, defer = defer, effects = effects,
    answer = answer,
}
