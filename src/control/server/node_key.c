/* POST /_gantry/node-key?node=ID: the key of a node, for who registered it and for the node. */
#include "control/server/node_key.h"

#include "control/server/server_priv.h"

#include <stdio.h>

static int give(struct route_req *rq, struct gt_err *err)
{
    struct gt_str query = http_req_query(route_http(rq)), prefix = GT_STR_LIT("node=");
    const struct principal *p = route_principal(rq);
    struct gt_str node = gt_str_n(query.p + prefix.n, query.n - GT_MIN(query.n, prefix.n));
    if (!gt_str_starts(query, prefix) || node.n == 0 || node.n > 80 ||
        memchr(node.p, '&', node.n) || memchr(node.p, '%', node.n)) {
        return gt_err_set(err, GT_ERR_VALIDATION, "which node? node=ID is wanted");
    }
    if (p->kind != PRINCIPAL_ROOT && !gt_str_eq(p->name, node)) {
        return gt_err_set(err, GT_ERR_DENIED, "a node may ask for its own key alone");
    }
    char id[128], secret[64];
    struct http_answer a = HTTP_ANSWER_INIT(200);
    keys_of_node(&route_data(rq)->s->keys, node, id, secret);
    gt_buf_printf(&a.body, "{\"accessKeyId\":\"%s\",\"secretAccessKey\":\"%s\"}", id, secret);
    a.content_type = "application/json";
    route_answer(rq, &a);
    return 0;
}

const struct server_route node_key_routes[] = {
    {.methods = HTTP_POST,
     .prefix = "/_gantry/node-key",
     .service = "agent",
     .max_body = 0,
     .end = give,
     .signed_only = true},
};
const size_t n_node_key_routes = GT_ARRAY_LEN(node_key_routes);
