# Writes the configuration of a private mail stack into $dir. Sourced by
# tools/stack/stack, which has set dir, root (of the source tree) and the ports.
# shellcheck shell=bash
# shellcheck disable=SC1091,SC2154 # other files; dir, root, guard_overrides, the programs and the ports come from stack

accounts="alice bob carol"

# Every parent of a file has to let the programs' own users pass; the secrets
# are in files and folders that do not.
configure_folders() {
    mkdir -p "$dir"/{pids,log,guard,mail,dovecot,php,nginx,postfix/{conf,queue,data}}
    mkdir -p "$dir"/rc/{config,plugins,skins,logs,temp,db,public_html/program}
    chmod 711 "$dir"
    chmod 755 "$dir"/{log,dovecot,nginx,postfix,postfix/conf,rc}
    chown mail:mail "$dir/mail"
    chmod 700 "$dir/mail"
    chown postfix "$dir/postfix/data"
    chown nobody:www-data "$dir/guard"
    chmod 2750 "$dir/guard"
}

# The guard runs as somebody else than the webmail, in a group that lets nginx in.
configure_guard() {
    cat >"$dir/guard/sendguard.conf" <<CONF
[store]
url = sqlite://$dir/guard/sendguard.db
[fcgi]
listen = $dir/guard/fcgi.sock
[web]
listen = 127.0.0.1:$status_port
base_url = http://127.0.0.1:$webmail_port/sending
secret_file = $dir/guard/secret
[mta]
listen = 127.0.0.1:$mta_port
webmail_hosts = $webmail_host
forwarding_networks = 127.0.0.1
[milter]
listen = 127.0.0.1:$milter_port
[feedback]
source = file:$dir/log/mailer.postfix.log
listen = 127.0.0.1:$reports_port
[complaints]
authserv_id = mx.example.test
loops = loop.test
[auth]
listen = 127.0.0.1:$auth_port
key_file = $dir/guard/auth-key
[dovecot]
doveadm_url = http://127.0.0.1:$doveadm_port
doveadm_key_file = $dir/guard/doveadm-key
[postqueue]
socket = $dir/guard/postqueue.sock
config_directory = $dir/postfix/conf
[parked]
master_user = sendguard
password_file = $dir/guard/parked-password
[logins]
mode = enforce
[domains]
hosted = example.test
[support]
contact = support@example.test
CONF
    printf '%s\n' "$guard_overrides" >"$dir/guard/overrides"
    install -m 755 "$guard_program" "$dir/guard/sendguard-fcgi"
    install -m 755 "$mta_program" "$dir/guard/sendguard-mta"
    install -m 755 "$web_program" "$milter_program" "$feedback_program" "$auth_program" "$parked_program" "$postqueue_program" "$command_line" "$dir/guard/"
    login_key=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
    doveadm_key=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
    install -m 600 -o nobody -g www-data /dev/null "$dir/guard/auth-key"
    install -m 600 -o nobody -g www-data /dev/null "$dir/guard/doveadm-key"
    printf '%s\n' "$login_key" >"$dir/guard/auth-key"
    printf '%s\n' "$doveadm_key" >"$dir/guard/doveadm-key"
    master_password=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
    install -m 600 -o nobody -g www-data /dev/null "$dir/guard/parked-password"
    printf '%s\n' "$master_password" >"$dir/guard/parked-password"
}

# nginx.conf.example with our paths and ports in the place of its own.
configure_nginx() {
    sed -e "s|/run/nginx.pid|$dir/nginx/nginx.pid|" \
        -e "s|/var/log/nginx/error.log|$dir/log/nginx.error.log|" \
        -e "s|/var/log/nginx/access.log|$dir/nginx/access.log|" \
        -e "s|/var/lib/nginx/|$dir/nginx/|" \
        -e "s|/var/lib/roundcube/public_html|$dir/rc/public_html|" \
        -e "s|/run/php/php-fpm.sock|$dir/php/fpm.sock|" \
        -e "s|/run/sendguard/fcgi/fcgi.sock|$dir/guard/fcgi.sock|" \
        -e "s|/etc/nginx/sendguard.htpasswd|$dir/nginx/htpasswd|" \
        -e "s|127.0.0.1:8080|127.0.0.1:$webmail_port|" \
        -e "s|127.0.0.1:8081|127.0.0.1:$submissions_port|" \
        -e "s|127.0.0.1:8082|127.0.0.1:$gate_port|" \
        -e "s|127.0.0.1:8090|127.0.0.1:$behind_gate_port|" \
        -e "s|127.0.0.1:9401|127.0.0.1:$status_port|" \
        "$root/nginx.conf.example" >"$dir/nginx/nginx.conf"
    : >"$dir/nginx/htpasswd"
}

# Debian names its PHP by version; whichever is installed will do.
php_fpm() { find /usr/sbin -maxdepth 1 -name 'php-fpm*' | sort -V | tail -n 1; }

configure_php() {
    cat >"$dir/php/php-fpm.conf" <<CONF
[global]
pid = $dir/php/php-fpm.pid
error_log = $dir/log/php.fpm.log
daemonize = no
[roundcube]
user = www-data
group = www-data
listen = $dir/php/fpm.sock
listen.owner = www-data
listen.group = www-data
listen.mode = 0660
pm = static
pm.max_children = 4
catch_workers_output = yes
clear_env = yes
env[ROUNDCUBE_CONFIG_DIR] = $dir/rc/config
php_admin_value[session.save_path] = $dir/rc/temp
php_admin_value[upload_tmp_dir] = $dir/rc/temp
php_admin_value[error_log] = $dir/rc/logs/php.log
php_admin_value[upload_max_filesize] = 20M
php_admin_value[post_max_size] = 25M
php_admin_value[opcache.revalidate_freq] = 0
CONF
}

# Roundcube finds plugins only below its own folder, and its folder by where
# index.php really is; so: a tree of our own, with a copy of that one file.
configure_roundcube() {
    local rc=$dir/rc share=/usr/share/roundcube part
    for part in index.php program SQL; do ln -sfn "$share/$part" "$rc/$part"; done
    ln -sfn $share/skins/elastic "$rc/skins/elastic"
    for part in filesystem_attachments jqueryui; do ln -sfn "$share/plugins/$part" "$rc/plugins/$part"; done
    cp /var/lib/roundcube/public_html/index.php "$rc/public_html/index.php"
    ln -sfn ../plugins "$rc/public_html/plugins"
    ln -sfn ../skins "$rc/public_html/skins"
    ln -sfn $share/program/js "$rc/public_html/program/js"
    ln -sfn $share/program/resources "$rc/public_html/program/resources"
    ln -sfn /etc/roundcube/defaults.inc.php "$rc/config/defaults.inc.php"
    ln -sfn /etc/roundcube/mimetypes.php "$rc/config/mimetypes.php"
    cp -r "$root/webmail/roundcube/sendguard" "$rc/plugins/sendguard"
    cp -r $share/plugins/password "$rc/plugins/password"
    rm -f "$rc/plugins/password/config.inc.php" # a link to what the machine's own Roundcube has
    # One more than a field may hold, over three domains, each within its own limit.
    { seq -f 'reader%.0f@example.org,' 1 34
      seq -f 'reader%.0f@example.net,' 35 68
      seq -f 'reader%.0f@example.com,' 69 101; } >"$rc/public_html/101.txt"
    configure_roundcube_settings
    sqlite3 "$rc/db/roundcube.db" <$share/SQL/sqlite.initial.sql
    chown -R www-data:www-data "$rc/db" "$rc/logs" "$rc/temp"
    chmod 700 "$rc/db" "$rc/logs" "$rc/temp"
}

configure_roundcube_settings() {
    cat >"$dir/rc/config/config.inc.php" <<CONF
<?php
\$config = [
    'db_dsnw' => 'sqlite:///$dir/rc/db/roundcube.db?mode=0640',
    'imap_host' => '127.0.0.1:$imap_port',
    'smtp_host' => '127.0.0.1:$smtp_port',
    'smtp_user' => '%u',
    'smtp_pass' => '%p',
    // An address of its own, as on a host of its own: the mail servers know the webmail by it.
    'imap_conn_options' => ['socket' => ['bindto' => '$webmail_host:0']],
    'smtp_conn_options' => ['socket' => ['bindto' => '$webmail_host:0']],
    'des_key' => '$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')',
    'product_name' => 'Webmail',
    'plugins' => ['filesystem_attachments', 'jqueryui', 'password', 'sendguard'],
    'skin' => 'elastic',
    'enable_spellcheck' => false,
    'log_dir' => '$dir/rc/logs/',
    'temp_dir' => '$dir/rc/temp/',
    'username_domain' => 'example.test',
    'mail_domain' => '%d',
    'create_default_folders' => true,
    // The guard counts wrong passwords, and says until when.
    'login_rate_limit' => 0,
    // Many recipients are what is tried here; no question about them first.
    'max_disclosed_recipients' => 0,
];
CONF
    cat >"$dir/rc/plugins/sendguard/config.inc.php" <<CONF
<?php
\$config['sendguard_url'] = 'http://127.0.0.1:$submissions_port/sendguard/submissions';
CONF
    cat >"$dir/rc/plugins/password/config.inc.php" <<CONF
<?php
\$config['password_driver'] = 'dovecot_passwdfile';
\$config['password_dovecot_passwdfile_path'] = '$dir/dovecot/passwd';
\$config['password_algorithm'] = 'clear';
\$config['password_algorithm_prefix'] = '{PLAIN}';
CONF
    chown root:www-data "$dir/rc/config/config.inc.php"
    chmod 640 "$dir/rc/config/config.inc.php"
}

# Dovecot 2.4 has another configuration language; `dovecot --version` says "2.4.1-4 (7d8c0e5759)".
case $(dovecot --version 2>/dev/null) in
2.[0-3].*) . "$root/tools/stack/dovecot-2.3.sh" ;;
*) . "$root/tools/stack/dovecot-2.4.sh" ;;
esac

configure_mailbox() {
    local name
    for name in $accounts; do printf '%s@example.test:{PLAIN}secret::::::\n' "$name"; done >"$dir/dovecot/passwd"
    # The webmail changes passwords.
    chown www-data:dovecot "$dir/dovecot/passwd"
    chmod 640 "$dir/dovecot/passwd"
    # Who sends parked messages without a visit.
    install -m 640 -g dovecot /dev/null "$dir/dovecot/masters"
    printf 'sendguard:{PLAIN}%s::::::allow_nets=127.0.0.0/8\n' "$master_password" >"$dir/dovecot/masters"
    {
        dovecot_version_lines
        cat <<CONF
base_dir = $dir/dovecot/run
state_dir = $dir/dovecot/state
instance_name = sendguard-stack
log_path = $dir/log/mailbox.dovecot.log
info_log_path = $dir/log/mailbox.dovecot.log
protocols = imap lmtp submission
hostname = mx.example.test
submission_relay_host = 127.0.0.1
submission_relay_port = $relay_port
submission_relay_trusted = yes
listen = 127.0.0.1
ssl = no
auth_mechanisms = plain login
login_trusted_networks = $webmail_host
default_internal_user = dovecot
default_login_user = dovenull
first_valid_uid = 1
service imap-login {
  inet_listener imap {
    port = $imap_port
  }
  inet_listener imaps {
    port = 0
  }
}
service submission-login {
  inet_listener submission {
    port = $dovecot_submission_port
  }
  inet_listener submissions {
    port = 0
  }
}
service lmtp {
  unix_listener lmtp {
    user = postfix
    group = postfix
    mode = 0600
  }
}
service auth {
  unix_listener auth-postfix {
    user = postfix
    group = postfix
    mode = 0660
  }
}
# All users of a webmail come from one address: one wrong password must not slow the others.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
protocol lmtp {
  postmaster_address = postmaster@example.test
}
namespace inbox {
  inbox = yes
  separator = /
CONF
        for name in Drafts Sent Trash Junk; do
            printf '  mailbox %s {\n    auto = subscribe\n    special_use = \\%s\n  }\n' $name $name
        done
        printf '}\n'
        dovecot_accounts
        printf '!include forwarding.conf\n!include policy.conf\n'
    } >"$dir/dovecot/dovecot.conf"
    configure_forwarding_mailbox
    # It has the keys.
    install -m 600 /dev/null "$dir/dovecot/policy.conf"
    {
        printf 'auth_policy_server_url = http://127.0.0.1:%s/\n' "$auth_port"
        printf 'auth_policy_server_api_header = Authorization: Bearer %s\n' "$login_key"
        printf 'auth_policy_hash_nonce = stack\n'
        dovecot_policy
        printf 'doveadm_api_key = %s\n' "$doveadm_key"
        printf 'service doveadm {\n  inet_listener http {\n    %s = 127.0.0.1\n    port = %s\n  }\n}\n' \
            "$dovecot_listens_on" "$doveadm_port"
    } >"$dir/dovecot/policy.conf"
}

# Mail for example.test goes to the mailboxes here, mail for sink.test and below it to the server that
# answers by name, all other mail to nowhere: nothing ever leaves this machine, and no name is looked up.
configure_mailer() {
    local name
    for name in $accounts fbl; do printf '%s@example.test ok\n' "$name"; done >"$dir/postfix/conf/users"
    # As Postfix makes it; feedback, which starts at the same time, would warn that it is not there.
    install -m 600 /dev/null "$dir/log/mailer.postfix.log"
    # What ends a connection has one of its own: the others of a message get their own answers.
    install -m 755 "$root/tools/stack/sink" "$dir/sink"
    cat >"$dir/postfix/conf/transport" <<CONF
/^fbl@example\.test$/ lmtp:inet:[127.0.0.1]:$reports_port
/^(drop|slow)[^@]*@(.*\.)?sink\.test$/ alone:[127.0.0.1]:$sink_port
/@(.*\.)?sink\.test$/ smtp:[127.0.0.1]:$sink_port
CONF
    cat >"$dir/postfix/conf/main.cf" <<CONF
compatibility_level = 3.6
queue_directory = $dir/postfix/queue
data_directory = $dir/postfix/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
multi_instance_name = postfix-sendguard
multi_instance_enable = yes
maillog_file = $dir/log/mailer.postfix.log
maillog_file_prefixes = $dir
maillog_file_compressor = $root/tools/stack/compress
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.test
mydomain = example.test
myorigin = example.test
mydestination =
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = example.test
virtual_mailbox_maps = texthash:$dir/postfix/conf/users
virtual_transport = lmtp:unix:$dir/dovecot/run/lmtp
default_transport = discard
relay_transport = discard
transport_maps = regexp:$dir/postfix/conf/transport
alone_destination_recipient_limit = 1
smtp_connection_cache_on_demand = no
lmtp_connection_cache_on_demand = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
disable_vrfy_command = yes
biff = no
smtpd_sasl_type = dovecot
smtpd_sasl_path = $dir/dovecot/run/auth-postfix
smtpd_sasl_auth_enable = no
enable_long_queue_ids = yes
sendguard = check_policy_service { inet:127.0.0.1:$mta_port, timeout=10s }
verified = check_sender_access regexp:$dir/postfix/conf/verified_senders
forwarding = check_policy_service { inet:127.0.0.1:$mta_port, timeout=10s, policy_context=forwarding }
# Here everything is at one address: the port says that this is no forwarding.
incoming = check_policy_service { inet:127.0.0.1:$mta_port, timeout=10s, policy_context=incoming }
forwarding_recipients = reject_non_fqdn_recipient, reject_unlisted_recipient, \$forwarding,
    permit_mynetworks, reject
# Nobody but root, for errands of this machine: the sendmail command asks no policy service.
authorized_submit_users = root
# What refuses single recipients comes before it, so that it hears of those that stay.
submission_recipients = reject_non_fqdn_recipient, reject_unlisted_recipient, \$sendguard,
    permit_sasl_authenticated, reject
submission_data = \$sendguard
submission_end = \$sendguard
# Whom the header of a message is shown to; a milter that does not answer is not waited for long.
submission_milters = inet:127.0.0.1:$milter_port
milter_connect_timeout = 5s
milter_command_timeout = 5s
CONF
    cat >"$dir/postfix/conf/master.cf" <<CONF
127.0.0.1:$smtp_port inet n - n - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o smtpd_recipient_restrictions=\$submission_recipients
  -o smtpd_data_restrictions=\$submission_data
  -o smtpd_end_of_data_restrictions=\$submission_end
  -o smtpd_milters=\$submission_milters
# Behind Dovecot's submission service, which says by XCLIENT who sends from where.
127.0.0.1:$relay_port inet n - n - - smtpd
  -o syslog_name=postfix/relay
  -o smtpd_authorized_xclient_hosts=127.0.0.1
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o smtpd_recipient_restrictions=\$submission_recipients
  -o smtpd_data_restrictions=\$submission_data
  -o smtpd_end_of_data_restrictions=\$submission_end
  -o smtpd_milters=\$submission_milters
# Mail from other servers: nobody is signed in, so the guard lets it pass.
127.0.0.1:$incoming_port inet n - n - - smtpd
  -o syslog_name=postfix/incoming
  -o smtpd_relay_restrictions=reject_unauth_destination
  -o smtpd_recipient_restrictions=\$incoming
  -o smtpd_data_restrictions=\$verified
  -o smtpd_end_of_data_restrictions=\$incoming
  -o cleanup_service_name=verifying
verifying  unix  n  -  n  -     0  cleanup
  -o header_checks=regexp:$dir/postfix/conf/verified_headers
CONF
    configure_forwarding_mailer >>"$dir/postfix/conf/master.cf"
    cat >>"$dir/postfix/conf/master.cf" <<CONF
pickup     unix  n  -  n  60    1  pickup
cleanup    unix  n  -  n  -     0  cleanup
qmgr       unix  n  -  n  300   1  qmgr
rewrite    unix  -  -  n  -     -  trivial-rewrite
bounce     unix  -  -  n  -     0  bounce
defer      unix  -  -  n  -     0  bounce
trace      unix  -  -  n  -     0  bounce
verify     unix  -  -  n  -     1  verify
flush      unix  n  -  n  1000? 0  flush
proxymap   unix  -  -  n  -     -  proxymap
proxywrite unix  -  -  n  -     1  proxymap
smtp       unix  -  -  n  -     -  smtp
alone      unix  -  -  n  -     -  smtp
showq      unix  n  -  n  -     -  showq
error      unix  -  -  n  -     -  error
retry      unix  -  -  n  -     -  error
discard    unix  -  -  n  -     -  discard
lmtp       unix  -  -  n  -     -  lmtp
anvil      unix  -  -  n  -     1  anvil
postlog    unix-dgram n - n -   1  postlogd
CONF
    configure_verifier
    make_queue
}

# In the place of a milter that verifies who sent a message: it takes the domain of each sender for
# verified. What it writes itself nobody else can write, since nobody knows the field's name; what
# others write in the name of this mail server is removed.
configure_verifier() {
    local field
    field=X-$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
    echo "/@([a-z0-9.-]+)\$/ PREPEND $field: \$1" >"$dir/postfix/conf/verified_senders"
    cat >"$dir/postfix/conf/verified_headers" <<CONF
/^Authentication-Results:[[:space:]]*mx\.example\.test([[:space:];]|$)/ IGNORE
/^$field: (.*)$/ REPLACE Authentication-Results: mx.example.test; spf=pass smtp.mailfrom=\$1
CONF
}

# As `postfix check` would make it, which takes seconds. Source: postfix-files.
make_queue() {
    local queue=$dir/postfix/queue
    mkdir -p "$queue"/{active,bounce,corrupt,defer,deferred,flush,hold,incoming,maildrop,private,public,saved,trace,pid}
    chown postfix "$queue"/*
    chmod 700 "$queue"/*
    chown postfix:postdrop "$queue"/{maildrop,public}
    chmod 730 "$queue/maildrop"
    chmod 710 "$queue/public"
    chown root "$queue/pid"
    chmod 755 "$queue/pid" "$queue"
}
