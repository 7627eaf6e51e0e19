/* The mailbox of a user at Dovecot (IMAP), and the mail server (SMTP), both as master user in the
 * place of that user (SASL PLAIN with an authorization identity): neither server is told the user's
 * password, and both take what follows as done by the user. One connection to each, for one
 * mailbox; each answer and each wait is limited. */
#ifndef SENDGUARD_PARKED_MAIL_LINK_H
#define SENDGUARD_PARKED_MAIL_LINK_H

#include <stdbool.h>

#include "base/text.h"
#include "settings/settings.h"

struct draft;
struct mail_link;

enum { MAIL_LINK_MESSAGE_MAX = 64 * 1024 * 1024 };

/* Whether the settings have what is needed. 1; 0 with *problem. */
int mail_link_requires(const struct settings *settings, struct problem *problem) must_check;
/* Of what is probably not meant. */
void mail_link_warnings(const struct settings *settings, struct faults *warnings);
/* 1; 0 with what would be wrong with that password. */
int mail_link_examine(const char *password_file, struct problem *problem) must_check;

/* Connects to nothing yet. It gives up what it waits for when *ending (may be NULL) is set. NULL
 * with *problem: the password cannot be read. */
struct mail_link *mail_link_new(const struct settings *settings, const char *mailbox,
                                const _Atomic bool *ending, struct problem *problem);
void mail_link_free(struct mail_link **link);

/* Signs in at Dovecot. 1 or -1 with *problem: nothing of this mailbox can be read now. */
int mail_link_sign_in(struct mail_link *link, struct problem *problem) must_check;
/* The message of that folder that has the mark of a parked one with that id: 1 with *uid_r; 0 there
 * is none, or with *problem: Dovecot refuses to look there; -1 with *problem: no answer. */
int mail_link_find(struct mail_link *link, const char *folder, const char *id, uint32_t *uid_r,
                   struct problem *problem) must_check;
/* The whole message, byte for byte, in *message_r. 1; 0 with *problem: Dovecot does not give it, or
 * it is longer than MAIL_LINK_MESSAGE_MAX; -1 with *problem: it does not answer. */
int mail_link_read(struct mail_link *link, const char *folder, uint32_t uid,
                   struct text *message_r, struct problem *problem) must_check;
/* Makes that folder where there is none. 1; 0 with *problem: Dovecot refuses to; -1 with *problem:
 * no answer. */
int mail_link_make_folder(struct mail_link *link, const char *folder,
                          struct problem *problem) must_check;
/* Adds a message that was seen. 1 or -1 with *problem. */
int mail_link_keep(struct mail_link *link, const char *folder, const struct text *message,
                   struct problem *problem) must_check;
/* Moves one as it is to that folder, which a mailbox over its quota may do, too. 1 or -1 with
 * *problem. */
int mail_link_move(struct mail_link *link, const char *folder, uint32_t uid, const char *to,
                   struct problem *problem) must_check;
/* 1 or -1 with *problem. */
int mail_link_remove(struct mail_link *link, const char *folder, uint32_t uid,
                     struct problem *problem) must_check;

/* Signs in at the mail server. 1 or -1 with *problem: nothing can be handed over now. */
int mail_link_open(struct mail_link *link, struct problem *problem) must_check;
/* Hands it over, and from now on gives up nothing for *ending. 1 it was taken; 0 with *problem it
 * certainly was not: `status` is the mail server's reply, or 0; -1 with *problem: what became of it
 * is not known. */
int mail_link_hand_over(struct mail_link *link, const struct draft *draft,
                        struct problem *problem) must_check;

#endif
