-- Asks sendguard-auth, once a password was found right, whether it is in a list of stolen ones, and has
-- the mailbox locked then: docs/logins.md, "Stolen passwords at sign-in". Five digits of the password's
-- SHA-1 leave Dovecot, and stay on this machine; the password does not. Whatever goes wrong here keeps
-- nobody out.

local url = "http://127.0.0.1:9404" -- auth.listen
local key = "THE-KEY"               -- what auth.key_file holds
local scope = "sending"             -- locks sending alone; "login": signing in too

local ours = {request_absolute_timeout_msecs = 500, max_attempts = 1}
local is_2_3, client = pcall(dovecot.http.client, ours)
if not is_2_3 then
  client = dovecot.http.client({request_absolute_timeout = "500ms", request_max_attempts = 1})
end

local function hash_of(request)
  return request:var_expand(is_2_3 and "%{sha1:password}" or "%{password | sha1}"):upper()
end

local function ask(path, method)
  local request = client:request({url = url .. path, method = method})
  request:add_header("Authorization", "Bearer " .. key)
  return request
end

local function is_stolen(hash)
  local answer = ask("/range/" .. hash:sub(1, 5), "GET"):submit()
  return answer:status() == 200 and
    ("\n" .. answer:payload()):find("\n" .. hash:sub(6) .. ":[0-9]*[1-9]") ~= nil
end

local function lock(mailbox)
  local request = ask("/?command=breached", "POST")
  request:set_payload(('{"login":"%s","scope":"%s"}'):format(mailbox:gsub('[%c"\\]', ""), scope))
  local status = request:submit():status()
  if status ~= 200 then dovecot.i_error("sendguard-auth does not lock: " .. status) end
end

function auth_password_verify(request, password)
  local good, fault = pcall(function()
    if is_stolen(hash_of(request)) then lock(request.user) end
  end)
  if not good then dovecot.i_error("sendguard-stolen.lua: " .. fault) end
  return dovecot.auth.PASSDB_RESULT_OK, {}
end

-- Mechanisms that send no password: nothing is known of it.
function auth_passdb_lookup(request)
  return dovecot.auth.PASSDB_RESULT_OK, {}
end
