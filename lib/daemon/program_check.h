/* What --check of a program that runs until a signal does. */
#ifndef SENDGUARD_PROGRAM_CHECK_H
#define SENDGUARD_PROGRAM_CHECK_H

#include "daemon/program.h"

/* Settings, texts, rights of the files, secret and store as a start would find them; tells on
 * standard error what it finds, a line each, and makes and changes nothing. Root looks as the user
 * whose the store is, and stays that user. PROGRAM_OK, also with warnings; or PROGRAM_CONFIG when a
 * start would end with it. */
int program_check(const struct program *program, const struct program_options *options) must_check;

#endif
