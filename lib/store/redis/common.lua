-- What every script begins with: the deadline. ARGV[1] is the deadline in microseconds of this
-- server's clock: who asked has given up by then, so nothing may change any more. A late script
-- answers with the time alone; every other answer is no bare number.
--
-- Words in capitals are constants: redis_script.c puts what C has in their place, also the names of
-- keys and the forms of what is kept (redis_format.h). What only some calls need is in files of
-- which redis_script.c makes functions: histories(), suspensions(). Each answers with a table of
-- functions, which are made when it is called: to make one costs more than most of them do.
local call, pack, unpack_bytes = redis.call, struct.pack, struct.unpack

local clock = call('TIME')
local server = clock[1] * 1000000 + clock[2]
if server >= ARGV[1] + 0 then
    return server
end
