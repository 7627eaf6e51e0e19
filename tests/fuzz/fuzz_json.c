/* A JSON body; the first byte is the size of the pieces it comes in, and says whether a webmail reads it too. */
#include "read_twice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0)
        read_twice("application/json", data[0] % 2, data + 1, size - 1, data[0] > 0 ? data[0] : 1);
    return 0;
}
