/*
 * What gantry-link knows of a task: one file for each, <run>/link/tasks/<task id>, written by the
 * agent, read by gantry-link. The agent prepares all JSON; link serves the bytes, and adds only
 * what must be fresh (statistics). Link works from the last files whether the agent lives or not.
 *
 * The agent rewrites a task's file whenever something in it changes (a container starts or
 * stops, its health, its credentials), and removes it when the task is gone. A write makes a new
 * file and renames it: link sees the old or the new one. Not fsynced: <run> need not survive the
 * host.
 *
 * Who may see what. A task with an address of its own (bridge, awsvpc) is told by its source
 * address and the endpoint id in the URL must be of that task; anything else is 404, and
 * credentials that are not its own are 403. A task without one (host) is told by the id alone, and
 * only when the request comes from an address that is no task's: so endpoint ids are secrets,
 * link_endpoint_id() makes one.
 *
 * File format (version 1), little-endian: 8 bytes "GTLINK1\n", u32 length of what follows, then
 * sections {u32 tag, u32 length, bytes} and nothing after them. Sections after a CONTAINER tag
 * belong to that container. Unknown tags are skipped, so that agent and link may be of different
 * releases.
 */
#ifndef GT_NODE_LINK_LINK_STATE_H
#define GT_NODE_LINK_LINK_STATE_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

#include <stddef.h>
#include <stdint.h>

#define LINK_MAX_CONTAINERS 32
#define LINK_MAX_CGROUPS 8
#define LINK_MAX_CREDENTIALS 2 /* task role, execution role */
#define LINK_STATE_MAX (1024 * 1024)
#define LINK_ENDPOINT_LEN 43 /* 32 hex digits, '-', 10 decimal digits: as on AWS */

/* One container. All texts are views. */
struct link_container {
    struct gt_str endpoint;   /* id in ECS_CONTAINER_METADATA_URI_V4, unique on the node */
    struct gt_str runtime_id; /* DockerId; key of the answer of .../task/stats */
    struct gt_str name;
    struct gt_str json_v4; /* document of GET /v4/<endpoint> */
    struct gt_str json_v2; /* the same in the shape of /v3 and /v2; empty: json_v4 is served */
    /* Directories with the container's statistics: one on cgroup v2; memory, cpuacct (or
     * cpu,cpuacct), pids, blkio, cpu on v1. Link takes whichever files it finds in them. Empty
     * while it does not run: statistics are then null. */
    struct gt_str cgroups[LINK_MAX_CGROUPS];
    size_t n_cgroups;
};

struct link_credentials {
    struct gt_str id;   /* the UUID in AWS_CONTAINER_CREDENTIALS_RELATIVE_URI */
    struct gt_str json; /* {"RoleArn","AccessKeyId","SecretAccessKey","Token","Expiration"} */
};

struct link_task {
    struct gt_str id;
    struct gt_str address;      /* dotted; empty: host mode */
    struct gt_str veth;         /* net_attachment.veth; empty: no network statistics */
    struct gt_str json_v4;      /* document of /v4/<endpoint>/task */
    struct gt_str json_v4_tags; /* of .../taskWithTags; empty: json_v4 */
    struct gt_str json_v2;      /* of /v3/<endpoint>/task and /v2/metadata; empty: json_v4 */
    struct link_container containers[LINK_MAX_CONTAINERS];
    size_t n_containers;
    struct link_credentials credentials[LINK_MAX_CREDENTIALS];
    size_t n_credentials;
};

/* A new endpoint id, from 128 random bits and a number. Keep it as long as the container is the
 * same: it is in its environment. */
void link_endpoint_id(char to[static LINK_ENDPOINT_LEN + 1]);

/* Writes the task's file; <run>/link/tasks is made when missing. GT_ERR_TOO_LARGE. */
int link_state_write(const char *run_dir, const struct link_task *task, struct gt_err *err);
/* Gone already is success. */
int link_state_remove(const char *run_dir, const char *task_id, struct gt_err *err);

/* The process that serves this <run> now, or 0: for an agent that was restarted and adopts it. */
int link_running(const char *run_dir);

/* The file of a task as it is now. Views into `bytes`. */
int link_state_read(const char *run_dir, const char *task_id, struct gt_buf *bytes,
                    struct link_task *ret, struct gt_err *err);

void link_state_encode(const struct link_task *task, struct gt_buf *to);
/* Views into `bytes`. GT_ERR_CORRUPT. */
int link_state_decode(struct gt_str bytes, struct link_task *ret, struct gt_err *err);

#endif
