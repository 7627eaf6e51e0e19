/* Shadow rules ([shadow]): limits over time of a mailbox that refuse nothing. They are compared with
 * what the judgement has seen anyway, so they cost no trip to the store. Pure. */
#ifndef SENDGUARD_SHADOW_H
#define SENDGUARD_SHADOW_H

#include "guard/effective.h"
#include "message/channel.h"
#include "settings/settings.h"

/* The limit that the shadow rule beside `rule` has for a mailbox with these limits, extras added;
 * LIMIT_OFF: none. It would take the place of the settings' limit, so there is none for a mailbox
 * that is exempt or whose limit staff has set, nor for what is forwarded. */
int32_t shadow_limit(const struct settings *settings, const struct effective_limits *limits,
                     enum channel channel, enum rule rule);
/* The same of a limit that is asked about. */
int32_t shadow_limit_of(int32_t limit, const struct effective_limits *limits, enum channel channel,
                        enum rule rule);

#endif
