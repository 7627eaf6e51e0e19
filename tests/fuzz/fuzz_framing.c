/* Bytes of a FastCGI connection: where their first request ends depends on no byte behind it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/framing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In a block of that size exactly, so that a read behind it is seen. */
static int whole(const uint8_t *data, size_t size, size_t *used)
{
    char *copy = xmalloc(size + (size == 0));
    if (size > 0)
        memcpy(copy, data, size);
    int result = framing_whole(copy, size, used);
    free(copy);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t used = 0, again = 0;
    int result = whole(data, size, &used);
    if (result > 0 && (used > size || whole(data, used, &again) != 1 || again != used ||
                       whole(data, used - 1, &again) != 0))
        abort();
    if (result == 0 && size > 0 && whole(data, size - 1, &again) != 0)
        abort();
    return 0;
}
