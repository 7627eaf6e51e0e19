/* A JSON body; the first byte is the size of the pieces it comes in, and says whether a webmail reads it too. */
#include "read_twice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What passes at the gate has the recipients that the endpoint reads in the whole. */
static void read_at_gate(const uint8_t *bytes, size_t length)
{
    struct reading whole = read_body("application/json", false, bytes, length, length);
    struct reading gate = read_body("application/json", true, bytes, length, length);
    if (whole.result && gate.result)
        require_same_recipients(&whole.submission, &gate.submission);
    arena_free(&whole.arena);
    arena_free(&gate.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1)
        read_at_gate(data + 1, size - 1);
    if (size > 0)
        read_twice("application/json", data[0] % 2, data + 1, size - 1, data[0] > 0 ? data[0] : 1);
    return 0;
}
