/* Reads whole bodies for tests, in pieces of any size, and tells what came out. */
#ifndef SENDGUARD_BODY_READER_H
#define SENDGUARD_BODY_READER_H

#include "base/problem.h"
#include "fcgi/body.h"

#define JSON "application/json"
#define URLENCODED "application/x-www-form-urlencoded"
#define MULTIPART "multipart/form-data; boundary=B"
#define PART(name) "--B\r\nContent-Disposition: form-data; name=\"" name "\"\r\n"

/* What the last body was read into, or refused with. */
struct reading {
    struct arena *arena;
    struct submission submission;
    struct body_claims claims;
    struct problem problem;
};
extern struct reading reading;

/* A test's fixture: its arena. */
void reading_setup(void);
void reading_teardown(void);

/* A piece, in a heap block of exactly its size so that sanitizers see overreads. */
int add_exact(struct body *body, const char *bytes, size_t length);

/* A whole body in pieces of `piece` bytes; a text in one. 1 or 0. */
int read_in(const char *type, bool php_names, const char *bytes, size_t length, size_t piece);
int read_body(const char *type, const char *text);

/* All that was read, as "to=a@x.test id=1 draft ". */
const char *describe(void);

/* A row of a table: reads `body` in pieces of many sizes and compares. */
struct good_body {
    const char *name, *type, *body, *read;
};
struct bad_body {
    const char *name, *type, *body, *where, *says;
};
void check_good(const struct good_body *row);
void check_bad(const struct bad_body *row);

#endif
