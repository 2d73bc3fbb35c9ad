/* gantry-agent: the process of a node. */
#include "cmd/options.h"
#include "lib/base/log.h"
#include "node/agent/agent.h"
#include "node/agent/attributes.h"
#include "node/agent/peers.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct agent_options o = {.state_dir = "/var/lib/gantry",
                              .run_dir = "/run/gantry",
                              .name = "gantry",
                              .overlay = "auto"};
    struct option_list attributes = {0};
    bool teardown = false;
    const struct option_def defs[] = {
        {"server", "URL", "the server (the one it joined, http://127.0.0.1:4566)", &o.server, NULL},
        {"join", "URL", "a server to join, with one of the following", &o.join, NULL},
        {"token-file", "FILE", "a file with the token (gantry token create)", &o.token_file, NULL},
        {"token", "TOKEN", "the token itself, which others on this machine may see", &o.token,
         NULL},
        {"activation-id", "ID", "of aws ssm create-activation", &o.activation_id, NULL},
        {"activation-code", "CODE", "of aws ssm create-activation", &o.activation_code, NULL},
        {"ca", "FILE", "trusted authorities, PEM (the system's)", &o.ca_file, NULL},
        {"key", "FILE", "key for the first registration", &o.key_file, NULL},
        {"renew-key", NULL, "take a new key at this start; the one of before ends", NULL,
         &o.renew_key},
        {"state", "DIR", "what outlives a reboot (/var/lib/gantry)", &o.state_dir, NULL},
        {"run", "DIR", "what does not (/run/gantry)", &o.run_dir, NULL},
        {"name", "NAME", "instance on this machine (gantry)", &o.name, NULL},
        {"node", "NAME", "name of the node (the host's)", &o.node_name, NULL},
        {"cluster", "NAME", "cluster to join (default)", &o.cluster, NULL},
        {"region", "NAME", "region (us-east-1)", &o.region, NULL},
        {"blobs", "DIR", "blob store of a server on this machine", &o.blobs_dir, NULL},
        {"prefer-cached", NULL, "do not ask the registry for an image that is here", NULL,
         &o.prefer_cached},
        {"external", NULL, "register as launch type EXTERNAL", NULL, &o.external},
        {"zone", "NAME", "availability zone of the node (region and 'a')", &o.zone, NULL},
        {"attribute", "NAME=VALUE", "an attribute for placement constraints; may come again",
         .list = &attributes},
        {"address", "IP", "this host's, for other nodes (from where it reaches the server)",
         &o.address, NULL},
        {"overlay", "HOW", "ways to other nodes' tasks: auto, routes, vxlan, none (auto)",
         &o.overlay, NULL},
        {"teardown", NULL, "end this instance's tasks, remove what they left, exit", NULL,
         &teardown},
        {0},
    };
    int r = options_parse(defs, "gantry-agent", "The process of a node: runs its tasks.", argc,
                          argv, NULL);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (geteuid() != 0) {
        fprintf(stderr, "gantry-agent: running containers needs root; try sudo\n");
        return 1;
    }
    gt_log_init("agent");
    struct gt_err err = GT_ERR_INIT;
    o.attributes = attributes.v;
    o.n_attributes = attributes.n;
    if (attributes_check(&o, &err) < 0 || peers_check(&o, &err) < 0) {
        fprintf(stderr, "gantry-agent: %s\n", err.msg);
        return 2;
    }
    r = teardown ? agent_teardown(&o, &err) : agent_run(&o, &err);
    if (r < 0) {
        gt_error("%s", err.msg);
        return 1;
    }
    return 0;
}
