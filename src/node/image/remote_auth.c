#include "node/image/remote_priv.h"

#include "lib/base/limits.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TOKEN_ANSWER_MAX (64 * GT_KIB)

/* One auth-param: name=token or name="quoted \" text". Moves *p behind it and its comma. */
static bool next_param(const char **p, char *name, size_t name_size, char *value, size_t value_size)
{
    const char *s = *p + strspn(*p, " \t,");
    size_t n = strcspn(s, "= \t,");
    if (n == 0 || n >= name_size || s[n] != '=') {
        return false;
    }
    memcpy(name, s, n);
    name[n] = '\0';
    s += n + 1;
    size_t len = 0;
    bool quoted = *s == '"';
    for (s += quoted; *s && (quoted ? *s != '"' : !strchr(" \t,", *s)); s++) {
        if (quoted && *s == '\\' && s[1]) {
            s++;
        }
        if (len + 1 >= value_size) {
            return false;
        }
        value[len++] = *s;
    }
    value[len] = '\0';
    *p = s + (quoted && *s == '"');
    return true;
}

void remote_challenge_parse(const char *header, struct remote_challenge *to)
{
    *to = (struct remote_challenge){.scheme = CHALLENGE_NONE};
    size_t n = strcspn(header, " \t");
    if (n == 5 && strncasecmp(header, "Basic", 5) == 0) {
        to->scheme = CHALLENGE_BASIC;
        return;
    }
    if (n != 6 || strncasecmp(header, "Bearer", 6) != 0) {
        return;
    }
    char name[32], value[1024];
    const char *p = header + n;
    while (next_param(&p, name, sizeof(name), value, sizeof(value))) {
        if (strcasecmp(name, "realm") == 0) {
            snprintf(to->realm, sizeof(to->realm), "%s", value);
        } else if (strcasecmp(name, "service") == 0) {
            snprintf(to->service, sizeof(to->service), "%.255s", value);
        } else if (strcasecmp(name, "scope") == 0) {
            snprintf(to->scope, sizeof(to->scope), "%s", value);
        }
    }
    if (to->realm[0]) {
        to->scheme = CHALLENGE_BEARER;
    }
}

static int take_token(struct remote_call *c, const void *p, size_t n)
{
    struct gt_buf *to = c->arg;
    gt_buf_add(to, p, n);
    return gt_buf_ok(to) ? 0 : -EMSGSIZE;
}

static char *token_url(const struct remote *r, CURL *curl, const struct remote_challenge *ch)
{
    gt_auto_buf struct gt_buf url = GT_BUF_INIT(REMOTE_URL_MAX);
    gt_buf_puts(&url, ch->realm);
    char joint = strchr(ch->realm, '?') ? '&' : '?';
    if (ch->service[0]) {
        char *service = curl_easy_escape(curl, ch->service, 0);
        gt_buf_printf(&url, "%cservice=%s", joint, service);
        curl_free(service);
        joint = '&';
    }
    /* What is wanted, whatever the challenge says: a realm must not make us ask for more. */
    char scope[512];
    snprintf(scope, sizeof(scope), "repository:%s:pull", r->o.repository);
    char *escaped = curl_easy_escape(curl, scope, 0);
    gt_buf_printf(&url, "%cscope=%s", joint, escaped);
    curl_free(escaped);
    return gt_buf_ok(&url) ? gt_buf_steal(&url) : NULL;
}

static char *token_of(const struct gt_buf *answer)
{
    json_t *doc = json_loadb(answer->p ? answer->p : "", answer->n, 0, NULL);
    const char *token = json_string_value(json_object_get(doc, "token"));
    if (!token || !*token) {
        token = json_string_value(json_object_get(doc, "access_token"));
    }
    char *ret = NULL;
    if (token && *token && strlen(token) < REMOTE_TOKEN_MAX && !strpbrk(token, "\r\n")) {
        ret = gt_strdup(token);
    }
    json_decref(doc);
    return ret;
}

static int fetch_token(struct remote *r, const struct remote_challenge *ch, const char *userpwd,
                       char **ret_token, struct gt_err *err)
{
    CURL *curl = remote_pool_take(r->o.pool);
    gt_auto_free char *url = token_url(r, curl, ch);
    gt_auto_buf struct gt_buf answer = GT_BUF_INIT(TOKEN_ANSWER_MAX);
    struct remote_call c = {
        .remote = r,
        .curl = curl,
        .url = url,
        .userpwd = userpwd,
        .plain = !r->g.https,
        .take = take_token,
        .arg = &answer,
    };
    CURLcode code = url ? remote_exchange(&c) : CURLE_URL_MALFORMAT;
    remote_pool_give(r->o.pool, curl);
    if (code != CURLE_OK) {
        return gt_err_set(err, GT_ERR_UNAVAILABLE, "ask '%.200s' for a token: %s", ch->realm,
                          c.curl_text[0] ? c.curl_text : curl_easy_strerror(code));
    }
    if (c.status / 100 != 2) {
        return gt_err_set(err, remote_passing(c.status) ? GT_ERR_UNAVAILABLE : GT_ERR_DENIED,
                          "'%.200s' answers %ld", ch->realm, c.status);
    }
    *ret_token = token_of(&answer);
    return *ret_token ? 0
                      : gt_err_set(err, GT_ERR_UNAVAILABLE, "'%.200s' gives no token", ch->realm);
}

static int authorize_locked(struct remote *r, const struct remote_challenge *ch, struct gt_err *err)
{
    struct image_credentials cred = {0};
    bool have = r->o.credentials && r->o.credentials(r->o.arg, r->o.host, &cred) == 0;
    if (ch->scheme == CHALLENGE_BASIC) {
        bool refused = have && r->g.auth == AUTH_BASIC &&
                       strcmp(cred.username, r->g.cred.username) == 0 &&
                       strcmp(cred.password, r->g.cred.password) == 0;
        if (!have || refused) {
            return gt_err_set(err, GT_ERR_DENIED, "%s",
                              have ? "credentials are refused" : "no basic auth credentials");
        }
        r->g.cred = cred;
        r->g.auth = AUTH_BASIC;
        r->serial++;
        return 0;
    }
    gt_auto_free char *userpwd = have ? gt_asprintf("%s:%s", cred.username, cred.password) : NULL;
    char *token = NULL;
    int x = fetch_token(r, ch, userpwd, &token, err);
    if (x < 0) {
        return x;
    }
    free(r->g.token);
    r->g.token = token;
    r->g.auth = AUTH_BEARER;
    r->serial++;
    return 0;
}

int remote_authorize(struct remote *r, const struct remote_challenge *challenge, unsigned serial,
                     struct gt_err *err)
{
    if (challenge->scheme == CHALLENGE_NONE) {
        return gt_err_set(err, GT_ERR_DENIED, "no way to authenticate is offered");
    }
    pthread_mutex_lock(&r->lock);
    int x = serial != r->serial ? 0 : authorize_locked(r, challenge, err);
    pthread_mutex_unlock(&r->lock);
    return x;
}
