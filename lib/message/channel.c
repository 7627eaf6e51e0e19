#include "message/channel.h"

#include "base/names.h"

const char *const channel_names[CHANNEL_COUNT] = {"webmail", "smtp", "forwarding"};

int channel_by_name(const char *name) { return names_find(channel_names, CHANNEL_COUNT, name); }

bool channel_is_its_users(enum channel channel) { return channel != CHANNEL_FORWARDING; }
