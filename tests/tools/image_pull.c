/*
 * Drives a node's image store from the command line, for tests and benchmarks:
 *   image_pull [-d STORE] [-w WORKER] [-l LOCAL_BLOBS] [-u USER:PASSWORD] [-k PRINCIPAL] [-n TIMES]
 * [-c CA_FILE] [-a] [-p]
 * [-r RETRIES] pull REFERENCE... | find REFERENCE | list | remove REFERENCE | prune Several
 * references are pulled at the same time. Prints one JSON object a line.
 */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "node/image/image.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct tool {
    struct image_store_options store;
    const char *userpwd, *principal;
    unsigned times;
    bool always, plain_http, progress;
    struct image_store *s;
};

struct job {
    struct tool *tool;
    const char *reference;
    pthread_t thread;
    int result;
};

static pthread_mutex_t out_lock = PTHREAD_MUTEX_INITIALIZER;

static json_t *texts(char *const *v)
{
    json_t *a = json_array();
    for (; *v; v++) {
        json_array_append_new(a, json_string(*v));
    }
    return a;
}

static void print(json_t *doc)
{
    pthread_mutex_lock(&out_lock);
    json_dumpf(doc, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    pthread_mutex_unlock(&out_lock);
    json_decref(doc);
}

static json_t *image_json(const struct image *im)
{
    json_t *d = json_object();
    json_object_set_new(d, "name", json_string(im->name));
    json_object_set_new(d, "digest", json_string(im->digest));
    json_object_set_new(d, "manifest", json_string(im->manifest_digest));
    json_object_set_new(d, "config", json_string(im->config_digest));
    json_object_set_new(d, "entrypoint", texts(im->entrypoint));
    json_object_set_new(d, "cmd", texts(im->cmd));
    json_object_set_new(d, "env", texts(im->env));
    json_object_set_new(d, "user", json_string(im->user));
    json_object_set_new(d, "workdir", json_string(im->workdir));
    json_object_set_new(d, "stopSignal", json_string(im->stop_signal));
    json_object_set_new(d, "ports", texts(im->exposed_ports));
    json_object_set_new(d, "volumes", texts(im->volumes));
    json_object_set_new(d, "layers", texts(im->layer_dirs));
    json_object_set_new(d, "size", json_integer((json_int_t)im->size));
    return d;
}

static int fail(const struct gt_err *err)
{
    json_t *d = json_object();
    json_object_set_new(d, "error", json_stringn_nocheck(err->msg, strlen(err->msg)));
    json_object_set_new(d, "kind", json_integer(err->kind));
    print(d);
    return 1;
}

static int credentials(void *arg, const char *host, struct image_credentials *to)
{
    const struct tool *t = arg;
    const char *colon = t->userpwd ? strchr(t->userpwd, ':') : NULL;
    if (!colon) {
        return -1;
    }
    snprintf(to->username, sizeof(to->username), "%.*s", (int)(colon - t->userpwd), t->userpwd);
    snprintf(to->password, sizeof(to->password), "%s", colon + 1);
    return 0;
}

static void progress(void *arg, const struct image_progress *p)
{
    const struct tool *t = arg;
    static const char *const names[] = {"resolved", "waiting", "fetching", "done"};
    if (t->progress) {
        fprintf(stderr, "%s %zu/%zu %s %llu/%llu\n", names[p->stage], p->layer + 1, p->n_layers,
                p->digest, (unsigned long long)p->done, (unsigned long long)p->total);
    }
}

static void *pull(void *arg)
{
    struct job *j = arg;
    struct gt_err err = GT_ERR_INIT;
    struct image *im = NULL;
    struct image_pull_options o = {
        .reference = j->reference,
        .credentials = credentials,
        .progress = progress,
        .arg = j->tool,
        .principal = j->tool->principal,
        .always = j->tool->always,
        .plain_http = j->tool->plain_http,
    };
    int64_t t0 = 0;
    for (unsigned i = 0; i < j->tool->times; i++) {
        image_unref(im);
        im = NULL;
        t0 = gt_clock_mono_ns();
        if (image_pull(j->tool->s, &o, &im, &err) < 0) {
            j->result = fail(&err);
            return NULL;
        }
    }
    json_t *d = image_json(im);
    json_object_set_new(d, "ms", json_real((double)(gt_clock_mono_ns() - t0) / 1e6));
    print(d);
    image_unref(im);
    return NULL;
}

static int pull_all(struct tool *t, int n, char **references)
{
    struct job *jobs = gt_new_array(struct job, (size_t)n);
    int result = 0;
    for (int i = 0; i < n; i++) {
        jobs[i] = (struct job){.tool = t, .reference = references[i]};
        pthread_create(&jobs[i].thread, NULL, pull, &jobs[i]);
    }
    for (int i = 0; i < n; i++) {
        pthread_join(jobs[i].thread, NULL);
        result |= jobs[i].result;
    }
    free(jobs);
    return result;
}

static int list(struct tool *t)
{
    struct gt_err err = GT_ERR_INIT;
    struct image **v;
    size_t n;
    if (image_list(t->s, &v, &n, &err) < 0) {
        return fail(&err);
    }
    for (size_t i = 0; i < n; i++) {
        print(image_json(v[i]));
        image_unref(v[i]);
    }
    free(v);
    return 0;
}

static int run(struct tool *t, int argc, char **argv)
{
    struct gt_err err = GT_ERR_INIT;
    struct image *im;
    if (argc >= 2 && strcmp(argv[0], "pull") == 0) {
        return pull_all(t, argc - 1, argv + 1);
    }
    if (argc == 2 && strcmp(argv[0], "find") == 0) {
        if (image_find(t->s, argv[1], &im, &err) < 0) {
            return fail(&err);
        }
        print(image_json(im));
        image_unref(im);
        return 0;
    }
    if (argc == 1 && strcmp(argv[0], "list") == 0) {
        return list(t);
    }
    if (argc == 1 && strcmp(argv[0], "hold") == 0) { /* the store stays open, as an agent's does */
        while (getchar() != EOF) {
        }
        return 0;
    }
    if (argc == 2 && strcmp(argv[0], "remove") == 0) {
        return image_remove(t->s, argv[1], &err) < 0 ? fail(&err) : 0;
    }
    if (argc == 1 && strcmp(argv[0], "prune") == 0) {
        return image_prune(t->s, &err) < 0 ? fail(&err) : 0;
    }
    fprintf(stderr, "image_pull: pull REFERENCE... | find REFERENCE | list | remove REFERENCE | "
                    "prune | hold\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct tool t = {.times = 1, .store = {.dir = "/tmp/image-store"}};
    int opt;
    while ((opt = getopt(argc, argv, "d:w:l:u:c:r:t:k:n:apv")) != -1) {
        switch (opt) {
        case 'd':
            t.store.dir = optarg;
            break;
        case 'w':
            t.store.worker = optarg;
            break;
        case 'l':
            t.store.local_blobs = optarg;
            break;
        case 'c':
            t.store.ca_file = optarg;
            break;
        case 'r':
            t.store.retries = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 't':
            t.store.timeout_ms = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'u':
            t.userpwd = optarg;
            break;
        case 'k':
            t.principal = optarg;
            break;
        case 'n':
            t.times = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'a':
            t.always = true;
            break;
        case 'p':
            t.plain_http = true;
            break;
        case 'v':
            t.progress = true;
            break;
        default:
            return 2;
        }
    }
    gt_log_init("image_pull");
    struct gt_err err = GT_ERR_INIT;
    if (image_store_open(&t.store, &t.s, &err) < 0) {
        return fail(&err);
    }
    int r = run(&t, argc - optind, argv + optind);
    image_store_close(t.s);
    return r;
}
