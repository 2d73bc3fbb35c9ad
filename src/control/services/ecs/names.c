#include "control/services/ecs/names.h"

#include <ctype.h>

struct gt_str name_dup(struct tx *tx, struct gt_str s)
{
    return gt_str_n(gt_arena_str(tx_arena(tx), s), s.n);
}

static bool plain(unsigned char c)
{
    return c < 0x80 && (isalnum(c) || c == '-' || c == '_');
}

bool name_valid(struct gt_str s, const char *more, size_t max)
{
    if (s.n == 0 || s.n > max) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (!plain((unsigned char)s.p[i]) && (!s.p[i] || !strchr(more, s.p[i]))) {
            return false;
        }
    }
    return true;
}

char *name_escape(struct tx *tx, struct gt_str s)
{
    char *to = gt_arena_alloc(tx_arena(tx), s.n * 3 + 1), *at = to;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (plain(c) || c == '.' || c == ':') {
            *at++ = (char)c;
        } else {
            *at++ = '%';
            *at++ = "0123456789ABCDEF"[c >> 4];
            *at++ = "0123456789ABCDEF"[c & 15];
        }
    }
    return to;
}

static int hex(char c)
{
    return c <= '9' ? c - '0' : c - 'A' + 10;
}

struct gt_str name_unescape(struct gt_arena *a, struct gt_str s)
{
    char *to = gt_arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        bool coded = s.p[i] == '%' && i + 2 < s.n;
        to[n++] = coded ? (char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2])) : s.p[i];
        i += coded ? 2 : 0;
    }
    return gt_str_n(to, n);
}

struct gt_str name_of_arn(struct tx *tx, struct gt_str s, const char *kind)
{
    if (!gt_str_starts(s, GT_STR_LIT("arn:"))) {
        return s;
    }
    struct gt_str prefix = gt_str(tx_arn(tx, "ecs", "%s/", kind));
    if (!gt_str_starts(s, prefix)) {
        return (struct gt_str){NULL, 0};
    }
    return gt_str_n(s.p + prefix.n, s.n - prefix.n);
}

bool name_in_cluster(struct gt_str s, struct gt_str cluster, struct gt_str *ret_id)
{
    const char *slash = s.n ? memrchr(s.p, '/', s.n) : NULL;
    if (!slash) {
        *ret_id = s;
        return s.n > 0;
    }
    size_t n = (size_t)(slash - s.p);
    *ret_id = gt_str_n(slash + 1, s.n - n - 1);
    return ret_id->n > 0 && gt_str_eq(gt_str_n(s.p, n), cluster);
}

struct gt_str arn_cluster(struct tx *tx, struct gt_str cluster)
{
    return gt_str(tx_arn(tx, "ecs", "cluster/" GT_STR_FMT, GT_STR_ARG(cluster)));
}

struct gt_str arn_task(struct tx *tx, struct gt_str cluster, struct gt_str id)
{
    return gt_str(
        tx_arn(tx, "ecs", "task/" GT_STR_FMT "/" GT_STR_FMT, GT_STR_ARG(cluster), GT_STR_ARG(id)));
}

struct gt_str arn_container(struct tx *tx, struct gt_str cluster, struct gt_str task,
                            struct gt_str id)
{
    return gt_str(tx_arn(tx, "ecs", "container/" GT_STR_FMT "/" GT_STR_FMT "/" GT_STR_FMT,
                         GT_STR_ARG(cluster), GT_STR_ARG(task), GT_STR_ARG(id)));
}

struct gt_str arn_service(struct tx *tx, struct gt_str cluster, struct gt_str name)
{
    return gt_str(tx_arn(tx, "ecs", "service/" GT_STR_FMT "/" GT_STR_FMT, GT_STR_ARG(cluster),
                         GT_STR_ARG(name)));
}

struct gt_str arn_instance(struct tx *tx, struct gt_str cluster, struct gt_str node)
{
    return gt_str(tx_arn(tx, "ecs", "container-instance/" GT_STR_FMT "/" GT_STR_FMT,
                         GT_STR_ARG(cluster), GT_STR_ARG(node)));
}

struct gt_str arn_taskdef(struct tx *tx, struct gt_str family, int64_t revision)
{
    return gt_str(tx_arn(tx, "ecs", "task-definition/" GT_STR_FMT ":%lld", GT_STR_ARG(family),
                         (long long)revision));
}

char *key_cluster(struct tx *tx, struct gt_str cluster)
{
    return tx_key(tx, "ecs/cluster/" GT_STR_FMT, GT_STR_ARG(cluster));
}

char *key_family(struct tx *tx, struct gt_str family)
{
    return tx_key(tx, "ecs/family/" GT_STR_FMT, GT_STR_ARG(family));
}

char *key_taskdef(struct tx *tx, struct gt_str family, int64_t revision)
{
    return tx_key(tx, "ecs/taskdef/" GT_STR_FMT "/%010lld", GT_STR_ARG(family),
                  (long long)revision);
}

static char *key_two(struct tx *tx, const char *kind, struct gt_str a, struct gt_str b)
{
    return tx_key(tx, "ecs/%s/" GT_STR_FMT "/" GT_STR_FMT, kind, GT_STR_ARG(a), GT_STR_ARG(b));
}

char *key_service(struct tx *tx, struct gt_str cluster, struct gt_str name)
{
    return key_two(tx, "service", cluster, name);
}

char *key_events(struct tx *tx, struct gt_str cluster, struct gt_str name)
{
    return key_two(tx, "events", cluster, name);
}

char *key_task(struct tx *tx, struct gt_str cluster, struct gt_str id)
{
    return key_two(tx, "task", cluster, id);
}

char *key_live(struct tx *tx, struct gt_str cluster, struct gt_str id)
{
    return key_two(tx, "live", cluster, id);
}

char *key_dead(struct tx *tx, struct gt_str cluster, struct gt_str id)
{
    return key_two(tx, "dead", cluster, id);
}

char *key_group(struct tx *tx, struct gt_str cluster, struct gt_str group, struct gt_str node,
                struct gt_str id)
{
    return tx_key(tx, "ecs/group/" GT_STR_FMT "/%s/" GT_STR_FMT "%s" GT_STR_FMT,
                  GT_STR_ARG(cluster), name_escape(tx, group), GT_STR_ARG(node), node.n ? "/" : "",
                  GT_STR_ARG(id));
}

char *key_done(struct tx *tx, struct gt_str cluster, struct gt_str service, struct gt_str id)
{
    return tx_key(tx, "ecs/done/" GT_STR_FMT "/" GT_STR_FMT "/" GT_STR_FMT, GT_STR_ARG(cluster),
                  GT_STR_ARG(service), GT_STR_ARG(id));
}

char *key_node(struct tx *tx, struct gt_str cluster, struct gt_str node)
{
    return key_two(tx, "node", cluster, node);
}

char *key_drain(struct tx *tx, struct gt_str cluster, struct gt_str node)
{
    return key_two(tx, "drain", cluster, node);
}

char *key_held(struct tx *tx, struct gt_str cluster, struct gt_str node)
{
    return key_two(tx, "held", cluster, node);
}

char *key_load(struct tx *tx, struct gt_str cluster, struct gt_str node)
{
    return key_two(tx, "load", cluster, node);
}

char *key_assign(struct tx *tx, struct gt_str node, struct gt_str id)
{
    return key_two(tx, "assign", node, id);
}

char *key_session(struct tx *tx, struct gt_str node)
{
    return tx_key(tx, "ecs/session/" GT_STR_FMT, GT_STR_ARG(node));
}

char *key_inactive(struct tx *tx, struct gt_str node)
{
    return tx_key(tx, "ecs/inactive/" GT_STR_FMT, GT_STR_ARG(node));
}

char *key_peer(struct tx *tx, struct gt_str node)
{
    return tx_key(tx, "ecs/peer/" GT_STR_FMT, GT_STR_ARG(node));
}

char *key_peers(struct tx *tx)
{
    return tx_key(tx, "ecs/peers");
}

char *key_astray(struct tx *tx, struct gt_str node, struct gt_str id)
{
    return tx_key(tx, "ecs/astray/" GT_STR_FMT "/" GT_STR_FMT, GT_STR_ARG(node), GT_STR_ARG(id));
}

char *key_lost(struct tx *tx, struct gt_str node)
{
    return tx_key(tx, "ecs/lost/" GT_STR_FMT, GT_STR_ARG(node));
}

char *key_waiting(struct tx *tx, struct gt_str cluster, struct gt_str service)
{
    return key_two(tx, "waiting", cluster, service);
}

char *key_token(struct tx *tx, const char *op, struct gt_str cluster, struct gt_str token)
{
    return tx_key(tx, "ecs/token/%s/" GT_STR_FMT "/%s", op, GT_STR_ARG(cluster),
                  name_escape(tx, token));
}

const char *key_rest(const char *key)
{
    const char *slash = strchr(key, '/');
    slash = slash ? strchr(slash + 1, '/') : NULL;
    return slash ? slash + 1 : "";
}

struct gt_str key_tail(const char *key)
{
    const char *slash = strrchr(key, '/');
    return gt_str(slash ? slash + 1 : key);
}
