# What only Dovecot 2.3 (Debian 12) understands; dovecot-2.4.sh has the same for 2.4. Sourced by
# tools/stack/configure.sh, which writes the rest of dovecot.conf.
# shellcheck shell=bash
# shellcheck disable=SC2154 # dir comes from stack

# shellcheck disable=SC2034 # configure.sh uses it
dovecot_listens_on=address

dovecot_version_lines() { :; }

dovecot_accounts() {
    cat <<CONF
disable_plaintext_auth = no
mail_location = maildir:$dir/mail/%u
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u $dir/dovecot/passwd
  override_fields = sendguard=1
}
passdb {
  driver = passwd-file
  args = scheme=PLAIN $dir/dovecot/masters
  master = yes
}
userdb {
  driver = static
  args = uid=mail gid=mail home=$dir/mail/%u
}
CONF
}

# How sendguard-auth is asked (docs/logins.md).
dovecot_policy() {
    cat <<'CONF'
auth_policy_server_timeout_msecs = 500
auth_policy_request_attributes = login=%{requested_username} pwhash=%{hashed_password} remote=%{rip} protocol=%s session_id=%{session} stage=%{passdb:sendguard}
CONF
}

# Filters of mailboxes. The envelope sender tells whose message it is that a filter sends on; by
# default it is the stranger who wrote, and a vacation's is empty.
dovecot_filters() {
    cat <<'CONF'
protocol lmtp {
  mail_plugins = $mail_plugins sieve
}
plugin {
  sieve = file:~/sieve;active=~/.dovecot.sieve
  sieve_user_email = %u
  sieve_redirect_envelope_from = user_email
  sieve_vacation_send_from_recipient = yes
}
CONF
}
