/* The agent's end of the conversation, against a shim that answers when the test wants it to. */
#include "gt_test.h"
#include "lib/base/mem.h"
#include "node/shim/shim_client.h"
#include "node/shim/shim_client_priv.h"
#include "node/shim/shim_proto.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64];
static int listener;

static void say(int fd, uint32_t type, uint32_t id, int32_t result, const void *p, size_t n)
{
    struct shim_hdr h = {.type = type, .id = id, .result = result, .n = (uint32_t)n};
    struct iovec iov[2] = {{&h, sizeof h}, {(void *)(uintptr_t)p, n}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
    assert_true(sendmsg(fd, &m, MSG_NOSIGNAL) > 0);
}

/* HELLO is answered at once; the answer to CREATE comes together with that to SIGNAL, ahead of it.
 */
static void *shim_main(void *arg)
{
    static char bytes[SHIM_MSG_MAX];
    struct shim_state state = {0};
    struct shim_event event = {.type = SHIM_EVENT_OOM};
    uint32_t create = 0;
    int fd = accept(listener, NULL, NULL);
    struct shim_hdr h;
    struct iovec iov[2] = {{&h, sizeof h}, {bytes, sizeof bytes}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
    while (recvmsg(fd, &m, 0) > 0) {
        if (h.type == SHIM_HELLO) {
            say(fd, SHIM_REPLY, h.id, 0, &state, sizeof state);
        } else if (h.type == SHIM_CREATE) {
            create = h.id;
        } else {
            say(fd, SHIM_EVENT, 0, 0, &event, sizeof event);
            say(fd, SHIM_REPLY, create, -ENOENT, "no such thing", 13);
            say(fd, SHIM_REPLY, h.id, 0, NULL, 0);
        }
    }
    close(fd);
    return arg;
}

GT_TEST(a_reply_that_comes_while_another_is_waited_for_is_kept)
{
    struct gt_err err = GT_ERR_INIT;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(folder, sizeof folder, "/tmp/gt-shim-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/%s", folder, SHIM_SOCKET);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(listener, 1), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, shim_main, NULL), 0);

    struct shim *s = NULL;
    assert_int_equal(shim_connect(folder, &s, &err), 0);
    struct rt_spec spec;
    const char *lower = "/", *argv = "true";
    rt_spec_defaults(&spec);
    spec.rootfs.lower = (struct rt_strs){&lower, 1};
    spec.argv = (struct rt_strs){&argv, 1};
    int64_t id = shim_send_create(s, "c", &spec, -1, true, &err);
    assert_true(id > 0);
    assert_int_equal(shim_signal(s, "other", NULL, 15, &err), 0);

    struct shim_reply r;
    assert_int_equal(shim_recv(s, &r, &err), 1);
    assert_int_equal(r.type, SHIM_EVENT);
    assert_int_equal(r.event.type, SHIM_EVENT_OOM);
    assert_int_equal(shim_recv(s, &r, &err), 1);
    assert_int_equal(r.type, SHIM_REPLY);
    assert_int_equal(r.id, id);
    assert_int_equal(r.err.sys_errno, ENOENT);
    assert_string_equal(r.err.msg, "no such thing");
    assert_int_equal(shim_recv(s, &r, &err), 0);

    shim_close(s);
    pthread_join(thread, NULL);
    close(listener);
    unlink(addr.sun_path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_that_comes_while_another_is_waited_for_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
