/*
 * Layers become durable after they are published, so that no pull waits for the disk (and for what
 * everybody else has written to it). Until then a layer's file names this boot of the kernel: what
 * a process leaves that dies is whole, for the kernel has it all; after a loss of power the boot is
 * another one, and the layer does not count.
 *
 * A process of its own calls syncfs(): who is in it cannot be killed until the disk is done, and an
 * agent that is killed must be gone, with the lock of its store, at once.
 */
#include "node/image/store_priv.h"

#include "lib/base/file.h"
#include "lib/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define AGAIN_S 60 /* when it did not succeed */
#define LOOK_MS 50

/* With the lock: the diff ids of published layers that are not durable. The caller frees them. */
static size_t pending(struct image_store *s, struct oci_digest **ret)
{
    size_t n = 0;
    struct gt_table_entry *e;
    struct oci_digest *v = gt_new_array(struct oci_digest, s->layers.count + 1);
    for (struct gt_table_iter it = {0}; (e = gt_table_next(&s->layers, &it));) {
        const struct layer *l = e->value;
        if (l->published && !l->durable) {
            v[n++] = l->diff_id;
        }
    }
    *ret = v;
    return n;
}

/* With the lock. Those that were removed meanwhile are not there any more. */
static void mark(struct image_store *s, const struct oci_digest *v, size_t n)
{
    char hex[OCI_DIGEST_HEX + 1];
    for (size_t i = 0; i < n; i++) {
        struct layer *l = gt_table_get(&s->layers, gt_str(oci_digest_hex(&v[i], hex)));
        if (l && l->published) {
            l->durable = true;
            store_save_layer(s, l, NULL); /* else it is pulled again after the next boot */
        }
    }
}

/* Waits for the child, unless the store is to be closed: then it is left alone. */
static int wait_for(struct image_store *s, pid_t pid)
{
    for (;;) {
        int status;
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got != 0) {
            return got == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
        }
        pthread_mutex_lock(&s->lock);
        bool stop = s->stop;
        pthread_mutex_unlock(&s->lock);
        if (stop) {
            return -ECANCELED;
        }
        nanosleep(&(struct timespec){0, LOOK_MS * 1000000L}, NULL);
    }
}

static int sync_layers(struct image_store *s)
{
    char *argv[] = {(char[]){"gantry-unpack"}, (char[]){"sync"}, NULL}, *envp[] = {NULL};
    gt_auto_close int fd = fcntl(s->layers_fd, F_DUPFD_CLOEXEC, 10);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
    pid_t pid;
    int r = fd < 0 ? errno : posix_spawn(&pid, s->worker, &actions, NULL, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
    return r != 0 ? -r : wait_for(s, pid);
}

static void wait_again(struct image_store *s)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += AGAIN_S;
    while (!s->stop && pthread_cond_timedwait(&s->published, &s->lock, &until) != ETIMEDOUT) {
    }
}

static void *sync_thread(void *arg)
{
    struct image_store *s = arg;
    store_clear_graves(s);
    pthread_mutex_lock(&s->lock);
    while (!s->stop) {
        gt_auto_free struct oci_digest *v = NULL;
        size_t n = pending(s, &v);
        if (n == 0) {
            pthread_cond_wait(&s->published, &s->lock);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        int r = sync_layers(s);
        pthread_mutex_lock(&s->lock);
        if (r == 0) {
            mark(s, v, n);
        } else if (!s->stop) {
            gt_warn("sync the image store '%s': %s", s->dir, strerror(-r));
            wait_again(s);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

void store_sync_start(struct image_store *s)
{
    s->has_syncer = pthread_create(&s->syncer, NULL, sync_thread, s) == 0;
}

void store_sync_stop(struct image_store *s)
{
    if (!s->has_syncer) {
        return;
    }
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->published);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->syncer, NULL);
}
