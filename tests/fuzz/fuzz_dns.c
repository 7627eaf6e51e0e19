/* Records of strangers: contents as they come from the DNS (the first byte says of which type), and
 * a file of records. */
#include <stdlib.h>

#include "dns/dns_rdata.h"
#include "dns/dns_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_rdata(struct arena *arena, const uint8_t *data, size_t size)
{
    struct mail_view record;
    if (size == 0)
        return;
    enum spf_type type = (enum spf_type)(data[0] % (SPF_TYPE_TXT + 1));
    const struct mail_view rdata = {(const char *)data + 1, size - 1};
    if (dns_rdata_read(arena, type, rdata, &record) && record.length > size)
        abort();
}

static void read_file(struct arena *arena, const uint8_t *data, size_t size)
{
    struct dns_records *records;
    struct problem problem = {0};
    struct spf_found found;
    const struct mail_view text = {(const char *)data, size};
    if (!dns_records_read(arena, "zone", text, &records, &problem)) {
        if (problem.where[0] == '\0' || problem.text[0] == '\0')
            abort();
        return;
    }
    for (int type = SPF_TYPE_A; type <= SPF_TYPE_TXT; type++) {
        enum spf_lookup looked = dns_records_look_up(records, arena, "a.test",
                                                     (enum spf_type)type, &found);
        if ((looked == SPF_LOOKUP_FOUND) != (found.count > 0))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    read_rdata(arena, data, size);
    read_file(arena, data, size);
    arena_free(&arena);
    return 0;
}
