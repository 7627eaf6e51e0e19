/* A parsed template, between its parser and its renderer: a flat row of nodes,
 * where a section's content are the nodes from the next one to its end. */
#ifndef SENDGUARD_MUSTACHE_NODES_H
#define SENDGUARD_MUSTACHE_NODES_H

#include <stdbool.h>

#include "text/mustache.h"

enum node_kind { NODE_TEXT, NODE_ESCAPED, NODE_RAW, NODE_SECTION, NODE_INVERTED, NODE_PARTIAL };

struct node {
    enum node_kind kind;
    int line;
    /* NODE_TEXT: the text, may be empty. NODE_PARTIAL alone on its line: the white space before
     * it, which goes before each of the partial's lines. Points into the template's text. */
    const char *text;
    size_t length;
    bool begins_line; /* text: it stands where a line of the template begins */
    bool standalone;  /* partial: alone on its line */
    const char *line_end; /* partial, standalone: "\n", "\r\n" or "" */
    const char *name; /* "a.b" as two strings, "a\0b"; of partials and "." whole */
    size_t name_parts; /* 0: the element itself */
    size_t end;        /* section: the node behind its last one */
};

struct mustache {
    enum mustache_kind kind;
    char *text; /* the template, with a NUL behind each name */
    struct node *nodes;
    size_t count;
};

#endif
