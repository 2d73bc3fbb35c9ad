#include "lib/wire/path.h"

#include <ctype.h>

static void print_name(const char *name, struct gt_buf *to)
{
    gt_buf_putc(to, (char)tolower((unsigned char)name[0]));
    gt_buf_puts(to, name + 1);
}

void wire_path_print(const struct wire_path *path, struct gt_buf *to)
{
    if (!path) {
        return;
    }
    wire_path_print(path->up, to);
    if (to->n > 0) {
        gt_buf_putc(to, '.');
    }
    if (path->name) {
        print_name(path->name, to);
    } else if (path->index > 0) {
        gt_buf_printf(to, "%zu.member", path->index);
    } else {
        gt_buf_str(to, path->key);
        gt_buf_puts(to, ".member");
    }
}
