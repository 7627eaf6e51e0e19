-- records(): decision records. A stream has those of one kind in order of their ids: its ids begin
-- with the millisecond of the decision's id, the name of the only field is the id's number, the
-- value is the record (packed_record.h). Ids of a stream rise: what comes late gets the millisecond
-- of the last entry. Where that is further ahead than clocks differ, a wrong clock wrote it, and
-- the record goes to the next of the kind's streams until its time has come. There are as many as
-- clocks were wrong, one as a rule.

-- The name of the kind's stream of that number.
local function stream_of(kind, number)
    return number == 1 and kind or kind .. '/' .. string.format('%d', number)
end

local function stream_count()
    return tonumber(call('HGET', NUMBERS, 'streams') or 1)
end

local function milliseconds_of(id)
    return tonumber(string.match(id, '^%d+'))
end

-- Adds a record whose id begins with the millisecond `stamp` or a later one, if that is in use: a
-- millisecond takes about CROWD records, so that one is found among few. Returns it. `streams` and
-- `floors` remember for those that follow which stream takes them and from when on.
local function add_late(streams, floors, kind, stamp, now, number, record)
    for place = 1, RECORD_STREAMS do
        local name, least = stream_of(kind, place), stamp
        local last = call('XREVRANGE', name, '+', '-', 'COUNT', 1)[1]
        if last then
            local millisecond, before = string.match(last[1], '^(%d+)-(%d+)$')
            least = millisecond + (before + 0 >= CROWD and 1 or 0)
        end
        if least <= now + AHEAD or place == RECORD_STREAMS then
            least = math.max(least, stamp)
            call('XADD', name, string.format('%d-*', least), number, record)
            streams[kind], floors[kind] = name, least
            if place > stream_count() then
                call('HSET', NUMBERS, 'streams', place)
            end
            return least
        end
    end
end

-- The record of that millisecond and number, nil for none.
local function find(stamp, number)
    for _, kind in ipairs({ADMITTED, REFUSED}) do
        for place = 1, stream_count() do
            local name, from, found = stream_of(kind, place), stamp, nil
            repeat
                found = call('XRANGE', name, from, stamp, 'COUNT', PAGE)
                for i = 1, #found do
                    if found[i][2][1] == number then
                        return found[i][2][2]
                    end
                end
                from = #found == PAGE and '(' .. found[PAGE][1]
            until not from
        end
    end
end

-- All records of that millisecond, by number.
local function all_of(stamp)
    local found = {}
    for _, kind in ipairs({ADMITTED, REFUSED}) do
        for place = 1, stream_count() do
            for _, entry in ipairs(call('XRANGE', stream_of(kind, place), stamp, stamp)) do
                found[entry[2][1]] = entry[2][2]
            end
        end
    end
    return found
end

-- The name of the IP's history that a record's message counted in, nil for none; also of a record
-- that is damaged, which is shorter then than its parts.
local function network_of(record)
    local shape = string.byte(record, RECORD_HEAD_BYTES) or 0
    local place = RECORD_HEAD_BYTES + 1
        + (math.floor(shape / 16) + shape % 16) * COUNTED_TOTAL_BYTES
    place = place + 1 + 2 * (string.byte(record, place) or 0)
    local length = string.byte(record, place) or 0
    return length > 0 and string.sub(record, place + 1, place + length) or nil
end

-- The same of the message of an entry. Its tag has the number alone when a wrong clock stamped the
-- message: its record is still at that clock's time.
local function network_of_entry(entry, now)
    local time = unpack_bytes(TIME_FORM, entry) % TIMES
    local tag = unpack_bytes(TAG_FORM, entry, #entry - TAG_BYTES + 1)
    local number = pack(NUMBER_FORM, tag % NUMBERS_END)
    if tag >= NUMBERS_END then
        local stamp = time + math.floor(tag / NUMBERS_END) - NEAR_TIME
        local record = find(string.format('%d', stamp), number)
        return record and network_of(record)
    end
    for place = 1, tag > 0 and stream_count() or 0 do
        local ahead = call('XREVRANGE', stream_of(ADMITTED, place), '+',
            string.format('%d', now + AHEAD), 'COUNT', LOOK_AT)
        for i = 1, #ahead do
            if ahead[i][2][1] == number then
                return network_of(ahead[i][2][2])
            end
        end
    end
end

-- Until when a record is kept, 0 for a damaged one. A message that counts can be refunded, for which
-- it is needed.
local function end_of(kind, record)
    if #record < RECORD_HEAD_BYTES then
        return 0
    end
    local time, keep = unpack_bytes(RECORD_END_FORM, record, RECORD_TIME_PLACE)
    return time + math.max(keep * SECOND, kind == ADMITTED and KEPT_LEAST or 0)
end

-- Removes what is past by `now` at the beginning of a stream, at most `max` records.
local function trim_stream(name, kind, now, max)
    local first = call('XRANGE', name, '-', '+', 'COUNT', 1)[1]
    if not first or end_of(kind, first[2][2]) > now then
        return
    end
    local oldest, past = call('XRANGE', name, '-', '+', 'COUNT', max), 0
    while past < #oldest and end_of(kind, oldest[past + 1][2][2]) <= now do
        past = past + 1
    end
    if past < #oldest then
        call('XTRIM', name, 'MINID', '=', oldest[past + 1][1])
    elseif past < max then
        call('DEL', name)
    else
        call('XTRIM', name, 'MINID', '=', oldest[past][1])
    end
end

-- The same of all streams. The last ones that are empty are no longer counted.
local function trim(now, max)
    local count = stream_count()
    for place = 1, count do
        trim_stream(stream_of(ADMITTED, place), ADMITTED, now, max)
        trim_stream(stream_of(REFUSED, place), REFUSED, now, max)
    end
    if count > 1 and call('EXISTS', stream_of(ADMITTED, count), stream_of(REFUSED, count)) == 0 then
        call('HSET', NUMBERS, 'streams', count - 1)
    end
end

return {
    add_late = add_late, find = find, all_of = all_of, network_of_entry = network_of_entry,
    trim = trim, stream_of = stream_of, stream_count = stream_count,
    milliseconds_of = milliseconds_of,
}
