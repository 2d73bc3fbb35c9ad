#include "lib/wire/validate.h"

#include "lib/base/buf.h"
#include "lib/base/mem.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Enough for every model's own values; text chosen to make a pattern backtrack runs into it. */
enum { MATCH_LIMIT = 200000 };

static pcre2_code *compile(const char *text)
{
    gt_auto_buf struct gt_buf whole = GT_BUF_INIT(64 * 1024);
    uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY;
    int code;
    PCRE2_SIZE at;

    /* The services match the whole value, as Java's Pattern.matches() does. */
    gt_buf_printf(&whole, "\\A(?:%s)\\z", text);
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)whole.p, whole.n, options, &code, &at, NULL);
    if (!re) { /* Java's \uXXXX */
        re =
            pcre2_compile((PCRE2_SPTR)whole.p, whole.n, options | PCRE2_ALT_BSUX, &code, &at, NULL);
    }
    GT_ASSERT(re); /* a unit test compiles every pattern of every model */
    pcre2_jit_compile(re, PCRE2_JIT_COMPLETE); /* no JIT here: it matches all the same */
    return re;
}

static pcre2_code *compiled(struct wire_pattern *p)
{
    void *re = __atomic_load_n(&p->compiled, __ATOMIC_ACQUIRE), *none = NULL;
    if (re) {
        return re;
    }
    re = compile(p->text);
    if (!__atomic_compare_exchange_n(&p->compiled, &none, re, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        pcre2_code_free(re); /* another thread was faster */
        re = none;
    }
    return re;
}

bool wire_pattern_matches(struct wire_pattern *pattern, struct gt_str text)
{
    pcre2_code *re = compiled(pattern);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);

    pcre2_set_match_limit(context, MATCH_LIMIT);
    int r = pcre2_match(re, (PCRE2_SPTR)(text.p ? text.p : ""), text.n, 0, PCRE2_NO_UTF_CHECK, data,
                        context);
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    return r >= 0;
}
