#include "rules/login_protocol.h"

#include <strings.h>

const char *const login_protocol_names[LOGIN_PROTOCOL_COUNT] = {
    [LOGIN_IMAP] = "imap", [LOGIN_POP3] = "pop3", [LOGIN_SIEVE] = "sieve", [LOGIN_SMTP] = "smtp",
    [LOGIN_SUBMISSION] = "submission", [LOGIN_PROTOCOL_OTHER] = "other"};

enum login_protocol login_protocol_of(const char *name)
{
    if (name[0] == '\0')
        return LOGIN_PROTOCOL_UNKNOWN;
    for (int i = LOGIN_IMAP; i < LOGIN_PROTOCOL_OTHER; i++)
        if (strcasecmp(login_protocol_names[i], name) == 0)
            return (enum login_protocol)i;
    return LOGIN_PROTOCOL_OTHER;
}
