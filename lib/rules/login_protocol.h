/* By which protocol somebody signs in. */
#ifndef SENDGUARD_LOGIN_PROTOCOL_H
#define SENDGUARD_LOGIN_PROTOCOL_H

/* Databases keep the numbers: new ones go to the end. */
enum login_protocol {
    LOGIN_PROTOCOL_UNKNOWN, /* not told, or from before it was kept */
    LOGIN_IMAP,
    LOGIN_POP3,
    LOGIN_SIEVE,
    LOGIN_SMTP, /* as Postfix calls it, on whatever port */
    LOGIN_SUBMISSION,
    LOGIN_PROTOCOL_OTHER,
    LOGIN_PROTOCOL_COUNT
};
/* That of LOGIN_PROTOCOL_UNKNOWN is NULL. */
extern const char *const login_protocol_names[LOGIN_PROTOCOL_COUNT];

/* The protocol of that name, as Dovecot calls it; "" is LOGIN_PROTOCOL_UNKNOWN. */
enum login_protocol login_protocol_of(const char *name);

#endif
