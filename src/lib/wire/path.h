/* Where in a request a value is, for messages: "containerDefinitions.1.member.portMappings". */
#ifndef GT_LIB_WIRE_PATH_H
#define GT_LIB_WIRE_PATH_H

#include "lib/base/buf.h"

#include <stddef.h>

/* A chain on the stack, innermost first. Lists count from 1 and add ".member", maps add the key
 * and ".member", as AWS's messages do. */
struct wire_path {
    const struct wire_path *up;
    const char *name;  /* a structure's member; NULL for an element */
    size_t index;      /* a list's element, from 1; 0 for a map's value */
    struct gt_str key; /* a map's key */
};

/* Appends the path; the first letter of each name in lower case. */
void wire_path_print(const struct wire_path *path, struct gt_buf *to);

#endif
