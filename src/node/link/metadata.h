/*
 * The documents of the task metadata endpoint, version 4 (and 2 and 3), as JSON: what the agent
 * puts into link_task.json_* and link_container.json_*. Shapes and the order and omission of
 * members are those of amazon-ecs-agent (ecs-agent/tmds/handlers/v4/state/response.go,
 * v2/response.go). Plain values: texts are views, an empty text and a time of 0 are left out where
 * AWS leaves them out.
 */
#ifndef GT_NODE_LINK_METADATA_H
#define GT_NODE_LINK_METADATA_H

#include "lib/base/buf.h"
#include "lib/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum meta_version { META_V2, META_V4 };

struct meta_pair {
    struct gt_str key, value;
};

struct meta_port {
    uint16_t container_port, host_port;
    const char *protocol; /* "tcp", "udp" */
    const char *host_ip;  /* "0.0.0.0"; NULL: left out */
};

/* The one network of a task; the lower members are for awsvpc and only in version 4. */
struct meta_network {
    const char *mode; /* bridge, awsvpc, host, none */
    struct gt_str ipv4;
    struct gt_str mac, subnet, dns, private_dns_name, gateway;
};

struct meta_volume {
    struct gt_str docker_name, source, destination;
};

struct meta_container {
    struct gt_str runtime_id, name, docker_name, image, image_id; /* image_id: "sha256:..." */
    const struct meta_port *ports;
    size_t n_ports;
    const struct meta_pair *labels; /* besides com.amazonaws.ecs.*, which are made here */
    size_t n_labels;
    struct gt_str desired_status, known_status;
    bool has_exit_code;
    int exit_code;
    int64_t cpu;    /* units of 1024 a core; 0 is written (as AWS does) */
    int64_t memory; /* MiB; 0: left out */
    int64_t created_at, started_at, finished_at; /* ms since 1970 */
    const struct meta_volume *volumes;
    size_t n_volumes;
    struct gt_str health; /* HEALTHY ...; empty: no health check */
    int64_t health_since;
    int health_exit_code;
    struct gt_str health_output;
    struct gt_str log_driver;
    const struct meta_pair *log_options;
    size_t n_log_options;
    struct gt_str arn;
    bool has_restart_count;
    int restart_count;
};

struct meta_task {
    struct gt_str cluster; /* ARN or name, as the task's clusterArn */
    struct gt_str arn, family, revision, desired_status, known_status;
    struct gt_str availability_zone, launch_type, service_name;
    double cpu;                                                     /* cores; 0: none set */
    int64_t memory;                                                 /* MiB; 0: none set */
    int64_t pull_started_at, pull_stopped_at, execution_stopped_at; /* ms since 1970 */
    const struct meta_pair *tags;                                   /* written when with_tags */
    size_t n_tags;
    struct meta_network network; /* of every container */
    const struct meta_container *containers;
    size_t n_containers;
};

void meta_task_write(const struct meta_task *task, enum meta_version version, bool with_tags,
                     struct gt_buf *to);
void meta_container_write(const struct meta_task *task, const struct meta_container *c,
                          enum meta_version version, struct gt_buf *to);

/* A JSON string with its quotes: also for others who write JSON here. Bytes that are not UTF-8
 * become U+FFFD. */
void meta_json_string(struct gt_str s, struct gt_buf *to);

#endif
