/* Decision ids: short, for the phone. 60 bits as twelve characters of
 * Crockford's base 32 in three groups, "7K3M-Q2XD-9F4A": the upper 40 bits are
 * milliseconds since 2020, so that ids rise with time, the lower 20 a counter,
 * so that a process never makes the same one twice. */
#ifndef SENDGUARD_DECISION_H
#define SENDGUARD_DECISION_H

#include "base/base.h"

enum { DECISION_TEXT_SIZE = 15 };

/* A new id; any thread. The counter starts at a random number. */
uint64_t decision_new(int64_t now_ms);

/* The smallest id of a moment: ids made before it are smaller. */
uint64_t decision_floor(int64_t time_ms);

/* The moment of an id. */
int64_t decision_time(uint64_t decision);

void decision_format(uint64_t decision, char text_r[DECISION_TEXT_SIZE]);

/* Reads what a person types: lower case, without or with other hyphens and
 * spaces, O for 0, I and L for 1. 1, or 0 when it is no decision id. */
int decision_parse(const char *text, uint64_t *decision_r) must_check;

#endif
