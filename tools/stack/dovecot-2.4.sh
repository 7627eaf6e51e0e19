# What Dovecot 2.4 (Debian 13) calls otherwise than 2.3; dovecot-2.3.sh has the same for 2.3. Sourced
# by tools/stack/configure.sh, which writes the rest of dovecot.conf.
# shellcheck shell=bash
# shellcheck disable=SC2154 # dir comes from stack

# shellcheck disable=SC2034 # configure.sh uses it
dovecot_listens_on=listen

# They come first in the file: they say in which version's language the rest is.
dovecot_version_lines() {
    cat <<CONF
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
CONF
}

dovecot_accounts() {
    cat <<CONF
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = $dir/mail/%{user}
passdb passwd-file {
  passwd_file_path = $dir/dovecot/passwd
  default_password_scheme = PLAIN
  auth_username_format = %{user}
  fields {
    sendguard = 1
  }
}
passdb masters {
  driver = passwd-file
  passwd_file_path = $dir/dovecot/masters
  default_password_scheme = PLAIN
  master = yes
}
userdb static {
  fields {
    uid = mail
    gid = mail
    home = $dir/mail/%{user}
  }
}
CONF
}

# How sendguard-auth is asked (docs/logins.md).
dovecot_policy() {
    cat <<'CONF'
auth_policy {
  http_client_request_absolute_timeout = 500ms
}
auth_policy_request_attributes {
  stage = %{passdb:sendguard}
}
CONF
}

# Filters of mailboxes. The envelope sender tells whose message it is that a filter sends on; by
# default it is the stranger who wrote, and a vacation's is empty. The user's name is the address:
# sieve_user_email takes no variable in 2.4, and is not needed then.
dovecot_filters() {
    cat <<'CONF'
protocol lmtp {
  mail_plugins {
    sieve = yes
  }
}
sieve_script personal {
  path = ~/sieve
  active_path = ~/.dovecot.sieve
}
sieve_redirect_envelope_from = user_email
sieve_vacation_send_from_recipient = yes
CONF
}
