#include "message/channel.h"

#include <string.h>

const char *const channel_names[CHANNEL_COUNT] = {"webmail", "smtp", "forwarding"};

int channel_by_name(const char *name)
{
    for (int channel = 0; channel < CHANNEL_COUNT; channel++)
        if (strcmp(name, channel_names[channel]) == 0)
            return channel;
    return -1;
}

bool channel_is_its_users(enum channel channel) { return channel != CHANNEL_FORWARDING; }
