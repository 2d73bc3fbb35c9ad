#include "lib/http/api_client.h"
#include "node/agent/node.h"

void node_keys_init(struct node *n)
{
    pthread_mutex_init(&n->keys.lock, NULL);
    node_keys_set(n, &n->id);
}

void node_keys_set(struct node *n, const struct node_identity *id)
{
    pthread_mutex_lock(&n->keys.lock);
    memcpy(n->keys.access_key, id->access_key, sizeof n->keys.access_key);
    memcpy(n->keys.secret_key, id->secret_key, sizeof n->keys.secret_key);
    pthread_mutex_unlock(&n->keys.lock);
}

int64_t node_now(struct node *n)
{
    return server_clock_now(&n->clock);
}

void node_pause(atomic_bool *stop, int64_t ms)
{
    for (; ms > 0 && !atomic_load(stop); ms -= 50) {
        uv_sleep((unsigned)GT_MIN(ms, (int64_t)50));
    }
}

int node_client_new(struct node *n, const char *region, long timeout_ms, atomic_bool *cancel,
                    struct api_client **ret, struct gt_err *err)
{
    struct api_client_options o = {.endpoint = n->o.server,
                                   .region = region ? region : n->o.region,
                                   .access_key = n->keys.access_key,
                                   .secret_key = n->keys.secret_key,
                                   .ca_file = n->o.ca_file,
                                   .timeout_ms = timeout_ms,
                                   .clock = &n->clock,
                                   .cancel = cancel};
    pthread_mutex_lock(&n->keys.lock);
    int r = api_client_new(&o, ret, err); /* copies them */
    pthread_mutex_unlock(&n->keys.lock);
    return r;
}
