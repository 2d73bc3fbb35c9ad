/*
 * Command line options as one table that feeds the parser and the help: --name VALUE,
 * --name=VALUE, --flag, --help. What is not an option ends them, as does "--".
 */
#ifndef GT_CMD_OPTIONS_H
#define GT_CMD_OPTIONS_H

#include <stdbool.h>

struct option_list {
    const char *v[64];
    unsigned n;
};

struct option_def {
    const char *name;  /* without dashes; NULL ends the table */
    const char *value; /* what follows, for the help; NULL: a flag */
    const char *help;
    const char **text;        /* where a value goes */
    bool *flag;               /* where a flag goes */
    char letter;              /* -x; 0: none */
    struct option_list *list; /* an option that may come again, instead of text */
};

/* 0: go on. -1: help was printed, exit with 0. > 0: a message was printed, exit with this code.
 * *ret_first is the index of the first argument that is no option; NULL: there may be none. */
int options_parse(const struct option_def *defs, const char *usage, const char *what, int argc,
                  char **argv, int *ret_first);

#endif
