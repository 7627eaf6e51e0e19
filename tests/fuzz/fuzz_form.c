/* Forms of both kinds. The first byte: bit 0 multipart (boundary B), bit 1
 * names as PHP reads them, the rest the size of the pieces. */
#include "read_twice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *type = (data[0] & 1) != 0 ? "multipart/form-data; boundary=B"
                                          : "application/x-www-form-urlencoded";
    read_twice(type, (data[0] & 2) != 0, data + 1, size - 1, (size_t)(data[0] >> 2) + 1);
    return 0;
}
