/* Settings that are valid but probably not what a provider wants. */
#include <string.h>

#include "settings/settings.h"

/* Such as "http://127.0.0.1:8080/…", which only a browser on this machine reaches. */
static bool leads_to_this_machine(const char *url)
{
    static const char *const hosts[] = {"127.", "localhost", "[::1]"};
    const char *host = strstr(url, "://") + 3;
    for (size_t i = 0; i < countof(hosts); i++) {
        size_t length = strlen(hosts[i]);
        if (strncmp(host, hosts[i], length) == 0 &&
            (hosts[i][length - 1] == '.' || strchr(":/?#", host[length]) != NULL))
            return true;
    }
    return false;
}

/* The first of TLS' files that is set for a server that is spoken to without TLS; NULL: none. */
static const char *unused_tls_file(const struct settings *settings)
{
    if (strncmp(settings->store_url, "redis://", strlen("redis://")) != 0 &&
        strncmp(settings->store_url, "redis+sentinel://", strlen("redis+sentinel://")) != 0)
        return NULL;
    return settings->store_tls_ca_file[0] != '\0'     ? "store.tls_ca_file"
           : settings->store_tls_cert_file[0] != '\0' ? "store.tls_cert_file"
           : settings->store_tls_key_file[0] != '\0'  ? "store.tls_key_file"
                                                      : NULL;
}

void settings_warn(struct faults *warnings, const char *where, const char *text)
{
    if (warnings->count == FAULTS_MAX)
        return;
    problem_set(&warnings->first[warnings->count++], 0, where, "%s", text);
}

void settings_warnings(const struct settings *settings, struct faults *warnings_r)
{
    bool own = settings->own_domains.count > 0;
    warnings_r->count = 0;
    if (leads_to_this_machine(settings->web_base_url))
        settings_warn(warnings_r, "web.base_url",
            "links in messages lead to 127.0.0.1: expected the status page as users' browsers "
            "reach it");
    if (settings->support_contact[0] == '\0')
        settings_warn(warnings_r, "support.contact",
            "is not set, so pages and messages name nobody to ask: expected an address, a "
            "telephone number or a link");
    if (!own)
        settings_warn(warnings_r, "domains.own_domains",
            "is not set, so addresses of colleagues at another domain count as outside: expected "
            "the domains that belong together");
    if (unused_tls_file(settings) != NULL)
        settings_warn(warnings_r, unused_tls_file(settings),
            "is not used, because store.url is without TLS, so passwords and data travel "
            "readable: expected rediss:// or rediss+sentinel://");
    if (settings->mta_forwarding_networks.count > 0 && !own &&
        settings->hosted_domains.count == 0)
        settings_warn(warnings_r, "mta.forwarding_networks",
            "is set without domains.hosted or domains.own_domains, so all forwarded messages are "
            "refused: expected the domains whose addresses are mailboxes here");
    if (settings->unusual_mode == UNUSUAL_MODE_HOLD && settings->mta_webmail_hosts.count == 0)
        settings_warn(warnings_r, "unusual.mode",
            "is hold without mta.webmail_hosts, so unusual mail from the webmail is deferred, since "
            "nobody could put it on hold: expected the addresses that the webmail sends from");
}
