# What a mailbox's filter sends on (Sieve redirect and vacation), and the way it takes: a port of the
# mail server's own, whose questions sendguard-mta counts as the channel forwarding. Sourced by
# tools/stack/stack beside configure.sh, which knows the version of Dovecot.
# shellcheck shell=bash
# shellcheck disable=SC2154 # dir and the ports come from stack

# Read by dovecot.conf's !include.
configure_forwarding_mailbox() {
    {
        # Not by the sendmail command, which no policy service hears of.
        printf 'submission_host = 127.0.0.1:%s\n' "$forwarding_port"
        dovecot_filters
    } >"$dir/dovecot/forwarding.conf"
}

# Entries of master.cf. A client that may connect can name any mailbox as its sender: Dovecot alone may.
configure_forwarding_mailer() {
    cat <<CONF
127.0.0.1:$forwarding_port inet n - n - - smtpd
  -o syslog_name=postfix/forwarding
  -o mynetworks=127.0.0.0/8
  -o smtpd_client_restrictions=permit_mynetworks,reject
  -o smtpd_relay_restrictions=permit_mynetworks,reject
  -o smtpd_recipient_restrictions=\$forwarding_recipients
  -o smtpd_end_of_data_restrictions=\$forwarding
CONF
}
