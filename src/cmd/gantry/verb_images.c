#include "cmd/gantry/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { COLUMNS = 3 };

/* One answer of the agent; NULL when it went away. */
static json_t *answer(int fd)
{
    enum { MAX = 1 << 20 };
    gt_auto_free char *text = gt_malloc(MAX);
    ssize_t n = recv(fd, text, MAX, 0);
    return n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
}

static json_t *ask(int fd, json_t *what)
{
    char *text = json_dumps(what, JSON_COMPACT);
    json_decref(what);
    GT_ASSERT(text);
    ssize_t n = send(fd, text, strlen(text), MSG_NOSIGNAL);
    free(text);
    return n < 0 ? NULL : answer(fd);
}

/* 0, or a message was printed. */
static int check(const json_t *root)
{
    const char *why = json_string_value(json_object_get(root, "error"));
    if (!root || why) {
        fprintf(stderr, "gantry images: %s\n", why ? why : "the agent went away");
        return 1;
    }
    return 0;
}

struct table {
    struct gt_arena arena; /* of the cells' texts */
    const char **cells;
    size_t rows;
};

static void add(struct table *t, const char *name, const char *digest, const char *size)
{
    t->cells = gt_realloc(t->cells, (t->rows + 1) * COLUMNS * sizeof *t->cells);
    const char **cell = &t->cells[t->rows++ * COLUMNS];
    cell[0] = gt_arena_strdup(&t->arena, name ? name : "");
    cell[1] = gt_arena_printf(&t->arena, "%.19s", digest ? digest : "");
    cell[2] = gt_arena_printf(&t->arena, "%10s", size);
}

static void add_images(struct table *t, const json_t *list)
{
    size_t i;
    json_t *o;
    json_array_foreach(list, i, o)
    {
        char size[32];
        snprintf(size, sizeof size, "%.1f MB",
                 (double)json_integer_value(json_object_get(o, "size")) / 1e6);
        add(t, json_string_value(json_object_get(o, "name")),
            json_string_value(json_object_get(o, "digest")), size);
    }
}

static int list(int fd)
{
    json_t *root = ask(fd, json_pack("{s:s}", "op", "images"));
    int r = check(root);
    struct table t = {0};
    gt_arena_init(&t.arena, 64UL << 20);
    add(&t, "IMAGE", "DIGEST", "SIZE");
    for (bool more = r == 0; more;) {
        add_images(&t, json_object_get(root, "images"));
        more = json_is_true(json_object_get(root, "more"));
        json_decref(root);
        root = more ? answer(fd) : NULL;
        more = more && root;
    }
    json_decref(root);
    if (r == 0) {
        cli_columns(t.cells, t.rows, COLUMNS);
    }
    free(t.cells);
    gt_arena_fini(&t.arena);
    return r;
}

static int remove_images(int fd, const char *image)
{
    json_t *root = ask(fd, image ? json_pack("{s:s, s:s}", "op", "image-remove", "image", image)
                                 : json_pack("{s:s}", "op", "image-prune"));
    int r = check(root);
    if (r == 0) {
        printf("removed %d images\n", (int)json_integer_value(json_object_get(root, "removed")));
    }
    json_decref(root);
    return r;
}

int cmd_images(int argc, char **argv)
{
    const char *state = NULL, *image = NULL;
    bool prune = false;
    const struct option_def defs[] = {
        {"remove", "IMAGE", "remove an image that no container runs from", &image, NULL},
        {"prune", NULL, "remove all of these", NULL, &prune},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {0},
    };
    struct instance in;
    struct gt_err err = GT_ERR_INIT;
    int r = options_parse(defs, "gantry images",
                          "Lists or removes the images that are on this node.", argc, argv, NULL);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if ((r = cli_instance(state, &in)) != 0) {
        return r;
    }
    gt_auto_close int fd = agent_connect(&in, &err);
    if (fd < 0) {
        return cli_fail(&err);
    }
    return prune || image ? remove_images(fd, prune ? NULL : image) : list(fd);
}
