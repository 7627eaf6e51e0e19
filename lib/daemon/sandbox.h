/* What a running program gives up for good: system calls that it needs at its start at most. Who
 * takes it over through a fault starts no other program, looks into no other process, mounts
 * nothing, loads nothing into the kernel and gets no raw packets, also where no service manager has
 * restricted it. */
#ifndef SENDGUARD_SANDBOX_H
#define SENDGUARD_SANDBOX_H

#include "settings/settings.h"

/* For all threads, those of now and those to come. What is given up fails with EPERM (a family of
 * sockets with EAFNOSUPPORT), and nobody is killed. Where `identity.owners` is asked through postmap
 * other programs can be started all the same. 1; 0 with *problem: the kernel does not do it, and
 * nothing is given up. */
int sandbox_enter(const struct settings *settings, struct problem *problem) must_check;

/* 1; 0 with *problem: these settings want what was given up. */
int sandbox_permits(const struct settings *settings, struct problem *problem) must_check;

#endif
