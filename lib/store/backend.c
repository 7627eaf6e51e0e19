#include "store/backend.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int backend_fail(struct backend *backend, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(backend->error, sizeof backend->error, format, arguments);
    va_end(arguments);
    return -1;
}

void backend_charge_key(const char *mailbox, const char *id,
                        uint8_t key_r[BACKEND_CHARGE_KEY_SIZE])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, BACKEND_CHARGE_KEY_SIZE);
    crypto_generichash_update(&state, (const unsigned char *)mailbox, strlen(mailbox) + 1);
    crypto_generichash_update(&state, (const unsigned char *)id, strlen(id));
    crypto_generichash_final(&state, key_r, BACKEND_CHARGE_KEY_SIZE);
}
