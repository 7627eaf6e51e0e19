/* FastCGI records as a web server sends them, well formed or not. */
#ifndef SENDGUARD_TESTS_RECORDS_H
#define SENDGUARD_TESTS_RECORDS_H

#include "base/text.h"

/* What a BEGIN_REQUEST holds: a responder, the connection to be kept. */
#define RECORDS_BEGIN "\0\1\1\0\0\0\0\0"

void records_add(struct text *bytes, int type, int id, const char *content, size_t length,
                 int padding);
/* "NAME=value" strings, NULL-ended, as the PARAMS stream, with its end. */
void records_add_params(struct text *bytes, int id, const char *const *params);
/* The STDIN stream, with its end. */
void records_add_body(struct text *bytes, int id, const char *body, size_t length);

#endif
