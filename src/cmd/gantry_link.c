/* gantry-link: DNS for containers, task metadata and credentials. See node/link/link.h. */
#include "lib/base/descriptors.h"
#include "lib/base/log.h"
#include "node/link/link.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: gantry-link --run DIR [--netns PATH] [--address A] [--http-port N] [--dns-port N]\n"
    "                   [--resolv-conf FILE]\n"
    "Serves DNS and the task metadata endpoint to the containers of this node. Started by the\n"
    "agent. Exit status 3: another one serves this run directory.\n";

/* 0 is "not given", so a port that is no port is an exit, not a default. */
static uint16_t read_port(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (*end || n < 1 || n > UINT16_MAX) {
        fprintf(stderr, "gantry-link: \"%s\" is not a port\n", text);
        exit(2);
    }
    return (uint16_t)n;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"run", required_argument, NULL, 'r'},      {"netns", required_argument, NULL, 'n'},
        {"address", required_argument, NULL, 'a'},  {"http-port", required_argument, NULL, 'p'},
        {"dns-port", required_argument, NULL, 'd'}, {"resolv-conf", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},           {0}};
    struct link_options o = {0};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        switch (c) {
        case 'r':
            o.run_dir = optarg;
            break;
        case 'n':
            o.netns = optarg;
            break;
        case 'a':
            o.address = optarg;
            break;
        case 'p':
            o.http_port = read_port(optarg);
            break;
        case 'd':
            o.dns_port = read_port(optarg);
            break;
        case 'c':
            o.resolv_conf = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (!o.run_dir || optind < argc) {
        fputs(usage, stderr);
        return 2;
    }
    gt_log_init("link");
    gt_descriptors_raise(); /* connections and queries of every container */
    struct gt_err err = GT_ERR_INIT;
    int r = link_serve(&o, &err);
    if (r < 0) {
        gt_error("%s", err.msg);
    }
    return r == 0 ? 0 : r == -EBUSY ? 3 : 1;
}
