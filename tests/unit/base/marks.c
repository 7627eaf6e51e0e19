/* libcheck writes to a file where each assertion that holds stands, to say of a test that dies after
 * which one it did. In the loops of random models that takes longer than what they test: after the
 * first thousand assertions of a test, one of a hundred is written. The Makefile links a test's calls
 * of _mark_point to this one. */
void __wrap__mark_point(const char *file, int line);
void __real__mark_point(const char *file, int line);

enum { MARKED_ALL = 1000, MARKED_THEN = 100 };

void __wrap__mark_point(const char *file, int line)
{
    static _Atomic unsigned marks; /* a test's own, since each runs in a process of its own */
    unsigned before = marks++;
    if (before < MARKED_ALL || before % MARKED_THEN == 0)
        __real__mark_point(file, line);
}
