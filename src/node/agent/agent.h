/*
 * The agent of a node: makes what the server wants of this node true, and reports what is.
 *
 * One libuv loop owns all state. Four threads talk to the server (poll, report, peers, logs), and
 * blocking work runs on libuv's pool (networks, removals) or on threads of its own (pulls); all of
 * them hand their results to the loop. A task is a level-triggered state machine (step.c): whatever
 * happens, task_step() looks at how things are and does what comes next.
 *
 * The agent may die at any time. Shims and gantry-link go on without it; when it comes back it
 * finds its tasks in <state>/agent/tasks, asks their shims what happened, and goes on.
 */
#ifndef GT_NODE_AGENT_AGENT_H
#define GT_NODE_AGENT_AGENT_H

#include "lib/base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct agent_options {
    const char *server;   /* NULL: that which it joined, else "http://127.0.0.1:4566" */
    const char *ca_file;  /* NULL: the system's authorities */
    const char *key_file; /* root.key, for the first registration; then the node has its own */
    const char *join;     /* URL of a server to join, unless it has joined one. With one of: */
    const char *token, *token_file, *activation_id, *activation_code;
    bool renew_key;        /* take a new key at this start */
    const char *state_dir; /* /var/lib/gantry */
    const char *run_dir;   /* /run/gantry */
    const char *name;      /* instance on this machine: "gantry" */
    const char *node_name; /* NULL: the host's name */
    const char *cluster;   /* NULL: that of before, else "default" */
    const char *region;    /* NULL: the server's that it joined, else "us-east-1" */
    const char *blobs_dir; /* the server's blob store when it is on this machine; NULL: none */
    bool prefer_cached;    /* an image that is here is not resolved again */
    bool external;         /* launch type EXTERNAL */
    const char *zone;      /* ecs.availability-zone; NULL: the server names one */
    const char *const *attributes; /* "NAME=VALUE" or "NAME", n of them */
    size_t n_attributes;
    const char *address; /* of this host, for other nodes; NULL: from where it reaches the server */
    const char *overlay; /* auto, routes, vxlan, none: node/net/peers.h */
};

/* Runs until SIGTERM or SIGINT, and leaves the tasks running. Returns 0, or fills err when it
 * cannot start. */
int agent_run(const struct agent_options *options, struct gt_err *err);

/* Stops every task of this instance by force and removes what they leave: containers, cgroups,
 * networks, mounts, gantry-link. For `gantry down` and after a crash; the agent must not run. */
int agent_teardown(const struct agent_options *options, struct gt_err *err);

#endif
