/* Windows on several slots of a Redis Cluster, as a model: "The protocol" of docs/cluster.md in
 * code. It is the specification; nothing of it is in the store. reservations.c says what a slot
 * does with a call, which call a process makes next and what it does with the answer;
 * test_reservations.c lets processes die, calls be late and answers be lost wherever they can.
 *
 * A message counts in windows of a network or a domain, each on a slot of its own, and in its
 * mailbox's window on the mailbox's slot. A slot takes calls one after the other, each whole or not
 * at all. Moments are small numbers. The slot of the mailboxes has the clock `now`; the clock of a
 * process may be ahead of it; the clocks of the windows' slots are not asked for anything. */
#ifndef SENDGUARD_TESTS_RESERVATIONS_H
#define SENDGUARD_TESTS_RESERVATIONS_H

#include <stdbool.h>
#include <stdint.h>

enum { WINDOWS_MAX = 2, TASKS_MAX = 5, LATE_CALLS_MAX = 3 };

/* What a wrong implementation would do: the checker has to find each. */
enum fault {
    FAULT_NONE,
    FAULT_STEP_AFTER_END,        /* the mailbox's step is done although the end has passed */
    FAULT_ENDS_BY_OTHER_CLOCK,   /* whether the end has passed is asked of another clock */
    FAULT_END_IS_REFUND,         /* at its end a reservation goes, and nobody asks the mailbox */
    FAULT_END_IS_CONFIRM,        /* at its end it counts for good */
    FAULT_NO_ANSWER_IS_REFUND,   /* the mailbox's step is not answered: taken for a refusal */
    FAULT_REFUND_TWICE,          /* a refund takes out a message of that size, whichever it is */
    FAULT_UNDECIDED_IS_FREE,     /* an undecided reservation does not count */
    FAULT_UNDECIDED_IS_FULL,     /* it is said to be a full window */
    FAULT_NOBODY_ASKS,           /* what became of it is asked by nobody */
    FAULT_TOLD_TOO_EARLY,        /* the user is told "sent" before the mailbox's step */
    FAULT_SETTLED_BY_ANYBODY,    /* an answer of before settles what is in doubt anew */
    FAULT_REFUND_WITHOUT_DOUBT,  /* a refund takes the message out of the mailbox first */
    FAULT_DOUBT_SHORTENS,        /* a refund puts its own end in the place of a later one */
    FAULT_RESET_FORGETS,         /* resetting a mailbox forgets what was admitted */
    FAULT_COUNT
};

/* One process with one thing to do: judge a message, or refund the one with that submission id. */
struct task {
    int8_t mailbox, submission, weight;
    int8_t clock_ahead; /* by so much, of the mailboxes' slot */
    bool refund;
};

struct setup {
    const char *name;
    int8_t windows, limit; /* each window has that limit */
    int8_t length;         /* of a window */
    int8_t mailbox_limit;  /* messages */
    int8_t patience;       /* a process gives up that long after it began */
    int8_t last_moment, troubles; /* where the exploration ends */
    bool resets;           /* staff resets mailbox 0 at some time */
    int8_t tasks;
    struct task task[TASKS_MAX]; /* the place of a task is the id of its message */
    enum fault fault;
};

/* A message's entry in a window. It counts from the reservation on, decided or not. */
struct reserved {
    bool there;
    int8_t time, weight;
    int8_t by;  /* undecided: the process that decides, from 1; 0: decided, it counts */
    int8_t end; /* undecided: from then on, by the mailboxes' clock, that process changes nothing */
};

enum call_kind {
    RESERVE = 1, /* to a window: count the message, undecided */
    SETTLE,      /* to a window: it counts, or it goes */
    DOUBT,       /* to a window: the message is undecided again, for a refund */
    JUDGE,       /* to the mailbox: the step that decides */
    ASK,         /* to the mailbox: what became of that message? */
    FIND,        /* to the mailbox: which message has that submission id? */
    TAKE_OUT,    /* to the mailbox: the step that decides a refund */
    CALL_KINDS
};

enum answer {
    NO_ANSWER, /* nobody knows whether the call has been done, or will be */
    PENDING,   /* not asked yet */
    DONE,
    NOT_THERE,
    LATE, /* its end had passed, nothing was done */
    /* of RESERVE */
    GRANTED,
    FULL,      /* what is decided leaves no room */
    UNDECIDED, /* it leaves room, but the undecided ones may fill it; the answer names them */
    /* of ASK, and what SETTLE is told */
    COUNTED,
    NEVER,
    NOT_YET,
    /* of JUDGE */
    ADMITTED,
    REPEATED, /* that submission was counted before */
    REFUSED,  /* by the mailbox */
    OVER,     /* by what a window answered */
    ANSWERS
};

struct call {
    int8_t kind, from; /* `from`: the place of a task */
    int8_t window, message;
    int8_t now, end; /* the sender's clock; when it gives up, by the mailboxes' */
    int8_t by, as;   /* SETTLE */
    bool over;       /* JUDGE: a window did not grant it */
};

enum told { TOLD_NOTHING, TOLD_SENT, TOLD_FULL, TOLD_UNDECIDED, TOLD_REFUSED, TOLD_FAILED };
/* OVER_AND_OUT: it is done, or dead. */
enum step { BEGINNING, RESERVING, ASKING, JUDGING, FINDING, DOUBTING, TAKING_OUT, SETTLING,
            OVER_AND_OUT };

struct process {
    int8_t step, told, end;
    int8_t answer[WINDOWS_MAX]; /* of RESERVE or DOUBT */
    bool asked;                 /* it has asked about others already */
    int8_t heard;               /* what it heard of the one that it asks about, to settle it */
    int8_t message;             /* the one that it judges or refunds */
    int8_t as;                  /* what it settles its message as */
    struct {
        int8_t by, end; /* by 0: not in its way, or no longer */
    } seen[WINDOWS_MAX][TASKS_MAX];
};

struct state {
    int8_t now, troubles;
    bool reset;
    struct reserved window[WINDOWS_MAX][TASKS_MAX];
    struct {
        bool counted;   /* admitted and not refunded: what ASK is answered by */
        bool in_window; /* counts in the mailbox's window, and its submission is known */
    } mailbox[TASKS_MAX];
    struct process process[TASKS_MAX];
    struct call late[LATE_CALLS_MAX]; /* given up: they arrive at any time, or never */
    /* What really is, for the checker alone. */
    bool passed[TASKS_MAX], refunded[TASKS_MAX];
    int8_t stamp[WINDOWS_MAX][TASKS_MAX]; /* when it was reserved */
};

/* A slot does the call. */
enum answer slot_receives(struct state *state, const struct setup *setup, const struct call *call);

/* A process begins when it makes its first call. */
void process_begins(struct state *state, const struct setup *setup, int place);
/* The calls that it makes now: one, or to windows side by side. 0: it has nothing more to do. */
int process_calls(const struct state *state, const struct setup *setup, int place,
                  struct call calls_r[WINDOWS_MAX]);
/* It hears the answer, at once when it arrives; NO_ANSWER when it waits no longer. */
void process_hears(struct state *state, const struct setup *setup, const struct call *call,
                   enum answer answer);

/* Staff resets mailbox 0. */
void mailbox_reset(struct state *state, const struct setup *setup);

#endif
