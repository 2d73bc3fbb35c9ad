#include "cmd/options.h"

#include <stdio.h>
#include <string.h>

static void help(const struct option_def *defs, const char *usage, const char *what)
{
    printf("usage: %s%s\n\n%s\n", usage, defs[0].name ? " [options]" : "", what);
    for (const struct option_def *d = defs; d->name; d++) {
        char left[64];
        snprintf(left, sizeof left, "%s%c%s--%s%s%s", d->letter ? "-" : "  ",
                 d->letter ? d->letter : ' ', d->letter ? ", " : " ", d->name, d->value ? " " : "",
                 d->value ? d->value : "");
        printf("%s  %-28s %s\n", d == defs ? "\n" : "", left, d->help);
    }
}

static const struct option_def *find(const struct option_def *defs, const char *arg,
                                     const char **ret_value)
{
    for (const struct option_def *d = defs; d->name; d++) {
        size_t n = strlen(d->name);
        if (arg[1] != '-') {
            if (d->letter && arg[1] == d->letter && arg[2] == '\0') {
                *ret_value = NULL;
                return d;
            }
        } else if (strncmp(arg + 2, d->name, n) == 0 && (arg[n + 2] == '\0' || arg[n + 2] == '=')) {
            *ret_value = arg[n + 2] ? arg + n + 3 : NULL;
            return d;
        }
    }
    return NULL;
}

int options_parse(const struct option_def *defs, const char *usage, const char *what, int argc,
                  char **argv, int *ret_first)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        const char *arg = argv[i], *value = NULL;
        if (strcmp(arg, "--") == 0) {
            i++;
            break;
        }
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            help(defs, usage, what);
            return -1;
        }
        const struct option_def *d = find(defs, arg, &value);
        if (!d || (value && !d->value)) {
            fprintf(stderr, "unknown option '%s'; --help lists them\n", arg);
            return 2;
        }
        if (!d->value) {
            *d->flag = true;
            continue;
        }
        if (!value && ++i >= argc) {
            fprintf(stderr, "option '%s' wants a value: %s\n", arg, d->value);
            return 2;
        }
        if (!d->list) {
            *d->text = value ? value : argv[i];
        } else if (d->list->n < sizeof d->list->v / sizeof d->list->v[0]) {
            d->list->v[d->list->n++] = value ? value : argv[i];
        }
    }
    if (!ret_first && i < argc) {
        fprintf(stderr, "unexpected argument '%s'; --help says what there is\n", argv[i]);
        return 2;
    }
    if (ret_first) {
        *ret_first = i;
    }
    return 0;
}
