#include "cmd/server_place.h"

#include "lib/base/file.h"
#include "lib/base/mem.h"

#include <fcntl.h>
#include <jansson.h>

int server_place_save(const struct server_options *o, const struct server *s, struct gt_err *err)
{
    const char *colon = strrchr(o->listen, ':');
    gt_auto_free char *host = gt_strdup(o->listen);
    host[colon - o->listen] = '\0';
    bool any = !host[0] || gt_streq(host, "0.0.0.0") || gt_streq(host, "[::]");
    bool tls = server_tls(s), own = tls && !o->tls_cert_file;
    const char *name = !any ? host : !own && o->n_tls_names ? o->tls_names[0] : "127.0.0.1";
    gt_auto_free char *endpoint =
        gt_asprintf("%s://%s:%u", tls ? "https" : "http", name, server_port(s));
    gt_auto_free char *state = realpath(o->state_dir, NULL);
    gt_auto_free char *ca = own ? gt_asprintf("%s/ca.pem", state) : gt_strdup("");
    json_t *root = json_pack("{s:s, s:s, s:s}", "endpoint", endpoint, "region",
                             o->region ? o->region : "us-east-1", "caFile", ca);
    char *text = json_dumps(root, JSON_INDENT(2));
    GT_ASSERT(text != NULL);
    gt_auto_free char *path = gt_asprintf("%s/server.json", o->state_dir);
    int r = gt_file_replace(AT_FDCWD, path, text, strlen(text), 0644, err);
    free(text);
    json_decref(root);
    return r;
}
