/*
 * Command line options as one table that feeds the parser and the help: --name VALUE,
 * --name=VALUE, --flag, -x VALUE, -xVALUE, letters together (-it), --help. "--" ends them.
 */
#ifndef GT_CMD_OPTIONS_H
#define GT_CMD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct option_list {
    const char *v[64];
    unsigned n;
};

struct option_def {
    const char *name;         /* without dashes; NULL ends the table */
    const char *value;        /* what follows, for the help; NULL: a flag */
    const char *help;         /* NULL: not in the help */
    const char **text;        /* where a value goes */
    bool *flag;               /* where a flag goes */
    char letter;              /* -x; 0: none */
    struct option_list *list; /* an option that may come again, instead of text */
    const char *refused; /* an option that other tools have: not in the help, refused with this */
    const struct option_def *more; /* of the entry that ends the table: it goes on there */
};

/* 0: go on. -1: help was printed, exit with 0. > 0: a message was printed, exit with this code.
 * What is not an option ends the options: *ret_first is its index; NULL: there may be none. `usage`
 * begins with the name of the program or verb, which begins every message. */
int options_parse(const struct option_def *defs, const char *usage, const char *what, int argc,
                  char **argv, int *ret_first);

/* Likewise, but options may come after other arguments. Those that are no options are moved to
 * argv[1] and so on; *argc counts them and argv[0]. */
int options_parse_mixed(const struct option_def *defs, const char *usage, const char *what,
                        int *argc, char **argv);

/* A whole number, digits alone, from `least` to `most`. False: it is none, and *ret stays. */
bool number_parse(const char *text, int64_t least, int64_t most, int64_t *ret);
/* Lower case letters, digits and '-', at most 32. */
bool region_name_fits(const char *name);

#endif
