#include "cmd/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    const struct option_def *defs;
    const char *usage, *what;
    int argc, at;
    char **argv;
};

static const struct option_def *next(const struct option_def *d)
{
    return d[1].name ? d + 1 : d[1].more;
}

static void help(const struct parser *p)
{
    bool said = strstr(p->usage, "[options]") != NULL;
    printf("usage: %s%s\n\n%s\n", p->usage, p->defs[0].name && !said ? " [options]" : "", p->what);
    for (const struct option_def *d = p->defs; d; d = next(d)) {
        char left[64];
        if (!d->help) {
            continue;
        }
        snprintf(left, sizeof left, "%s%c%s--%s%s%s", d->letter ? "-" : "  ",
                 d->letter ? d->letter : ' ', d->letter ? ", " : " ", d->name, d->value ? " " : "",
                 d->value ? d->value : "");
        printf("%s  %-30s %s\n", d == p->defs ? "\n" : "", left, d->help);
    }
}

__attribute__((format(printf, 2, 3))) static int wrong(const struct parser *p, const char *fmt, ...)
{
    const char *end = strstr(p->usage, " [");
    va_list ap;
    fprintf(stderr, "%.*s: ", end ? (int)(end - p->usage) : (int)strlen(p->usage), p->usage);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return 2;
}

static const struct option_def *find_name(const struct option_def *defs, const char *name,
                                          const char **ret_value)
{
    for (const struct option_def *d = defs; d; d = next(d)) {
        size_t n = strlen(d->name);
        if (strncmp(name, d->name, n) == 0 && (name[n] == '\0' || name[n] == '=')) {
            *ret_value = name[n] ? name + n + 1 : NULL;
            return d;
        }
    }
    return NULL;
}

static const struct option_def *find_letter(const struct option_def *defs, char letter)
{
    for (const struct option_def *d = defs; d; d = next(d)) {
        if (d->letter == letter) {
            return d;
        }
    }
    return NULL;
}

/* One option as the user wrote it (`said`), with its value where that is in the same word. */
static int take(struct parser *p, const struct option_def *d, const char *said, const char *value)
{
    if (d->refused) {
        return wrong(p, "no option '%s': %s", said, d->refused);
    }
    if (!d->value) {
        if (value) {
            return wrong(p, "option '%s' takes no value", said);
        }
        *d->flag = true;
        return 0;
    }
    if (!value && ++p->at >= p->argc) {
        return wrong(p, "option '%s' wants a value: %s", said, d->value);
    }
    value = value ? value : p->argv[p->at];
    if (!d->list) {
        *d->text = value;
    } else if (d->list->n < sizeof d->list->v / sizeof d->list->v[0]) {
        d->list->v[d->list->n++] = value;
    } else {
        return wrong(p, "option '%s' comes more than %u times", said, d->list->n);
    }
    return 0;
}

static int take_letters(struct parser *p, const char *arg)
{
    for (const char *c = arg + 1; *c; c++) {
        const struct option_def *d = find_letter(p->defs, *c);
        char said[3] = {'-', *c, '\0'};
        if (!d) {
            return wrong(p, "unknown option '%s'; --help lists them", c == arg + 1 ? arg : said);
        }
        bool rest = d->value && c[1];
        int r = take(p, d, said, rest ? c + 1 + (c[1] == '=') : NULL);
        if (r != 0 || d->value) {
            return r;
        }
    }
    return 0;
}

/* The option at p->at; afterwards p->at is its last word. */
static int take_word(struct parser *p)
{
    const char *arg = p->argv[p->at], *value = NULL;
    if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
        help(p);
        return -1;
    }
    if (arg[1] != '-') {
        return take_letters(p, arg);
    }
    const struct option_def *d = find_name(p->defs, arg + 2, &value);
    if (!d) {
        return wrong(p, "unknown option '%s'; --help lists them", arg);
    }
    char said[64];
    snprintf(said, sizeof said, "--%s", d->name);
    return take(p, d, said, value);
}

int options_parse(const struct option_def *defs, const char *usage, const char *what, int argc,
                  char **argv, int *ret_first)
{
    struct parser p = {defs, usage, what, argc, 1, argv};
    for (; p.at < argc && argv[p.at][0] == '-' && argv[p.at][1]; p.at++) {
        if (strcmp(argv[p.at], "--") == 0) {
            p.at++;
            break;
        }
        int r = take_word(&p);
        if (r != 0) {
            return r;
        }
    }
    if (!ret_first && p.at < argc) {
        return wrong(&p, "unexpected argument '%s'; --help says what there is", argv[p.at]);
    }
    if (ret_first) {
        *ret_first = p.at;
    }
    return 0;
}

int options_parse_mixed(const struct option_def *defs, const char *usage, const char *what,
                        int *argc, char **argv)
{
    struct parser p = {defs, usage, what, *argc, 1, argv};
    int n = 1;
    bool words_only = false;
    for (; p.at < *argc; p.at++) {
        char *arg = argv[p.at];
        if (words_only || arg[0] != '-' || !arg[1]) {
            argv[n++] = arg;
        } else if (strcmp(arg, "--") == 0) {
            words_only = true;
        } else {
            int r = take_word(&p);
            if (r != 0) {
                return r;
            }
        }
    }
    *argc = n;
    return 0;
}

bool number_parse(const char *text, int64_t least, int64_t most, int64_t *ret)
{
    errno = 0;
    long long n = strtoll(text, NULL, 10);
    if (!text[0] || text[strspn(text, "0123456789")] || errno || n < least || n > most) {
        return false;
    }
    *ret = n;
    return true;
}

bool region_name_fits(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return n > 0 && n <= 32 && !name[n];
}
