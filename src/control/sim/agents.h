/*
 * Agents, as far as the server can see them: what they say, when, and what becomes of their tasks.
 * Any number of nodes, any number of tasks on each.
 *
 * They keep the rules of the real one: they register, poll (long) and report, one call of a kind at
 * a time; a task that the server wants and that this node never heard of is started when nobody
 * reported on it before, and reported STOPPED when somebody did (its containers went with the
 * machine); every change of a task gets the next sequence number and is reported until it is
 * answered, as taken or as refused; a task whose end was said, or that is not named in a walk over
 * everything, is dropped. An answer to a poll that was sent before says nothing of that task any
 * more. They remember what they were told last, and say so: to a server of another history they
 * are astray (services/agent/astray.h), keep all as it is and report it, until they are adopted.
 *
 * What differs from one simulation to the next is in struct sim_rules: how long things take, what
 * fails, and what the network does. Without rules everything goes well and takes no time. A
 * product simulation gives `fate`, and starts, cuts off and crashes nodes as its scenario says; a
 * test gives `passage` too, and adds what lies (calls made with a node's session).
 *
 * All of it happens on a world's queue. Nodes are numbers from 0 up.
 */
#ifndef GT_CONTROL_SIM_AGENTS_H
#define GT_CONTROL_SIM_AGENTS_H

#include "control/services/agent/detector.h"
#include "control/services/ecs/task_state.h"
#include "control/sim/world.h"
#include "lib/base/list.h"
#include "lib/base/table.h"
#include "lib/wire/gen/agent.h"

/* A node as it registers. Texts and arrays must outlive the agents. */
struct sim_node_spec {
    const char *id;      /* of the container instance: 1 to 36 letters, digits, '-', '_' */
    const char *name;    /* of the machine; NULL: the id */
    const char *cluster; /* NULL: default */
    const char *subnet;  /* "10.1.2.0/24"; NULL: the server chooses one of its 256 */
    int64_t cpu, memory; /* units of 1/1024 processor, MiB */
    bool external;
    struct agent_attribute_list attributes; /* with the zone: "ecs.availability-zone" */
    struct wire_int_list ports;             /* taken by others */
};

/* What is to become of a task that its node was just told of. */
struct sim_fate {
    int64_t prepare_ms;  /* from then until its containers run, or fail to */
    const char *failure; /* why they never run; NULL: they do. Static text */
    int64_t run_ms;      /* from then until they end by themselves; < 0: never */
    int64_t exit_code;   /* ... with this */
    int64_t stop_ms;     /* from being told to stop until they are gone */
};

/* A task as its node knows it. */
struct sim_task {
    struct gt_list link;
    char id[65];
    const char *family, *service; /* service "": none */
    int64_t revision;             /* of the family */
    unsigned node;
    struct sim_fate fate;
    uint64_t timer; /* the one that counts; 0: none */
    int64_t generation, sequence, acked;
    int64_t status; /* enum task_state */
    bool stop;      /* wanted STOPPED */
    bool started;   /* containers were up */
    uint64_t walk;  /* the last one in which the server named it */
    int64_t exit_code;
    const char *stop_code, *reason; /* NULL: by request */
    char address[48];               /* "": none of its own */
};

/* What a node keeps of its server, whatever happens to the machine: which one it is and the newest
 * that it told. epoch 0: that server names none. */
struct sim_memory {
    char cluster_id[48];
    int64_t epoch, revision;
};

struct sim_node {
    unsigned index;
    struct sim_node_spec spec;
    bool up;         /* its agent runs */
    bool registered; /* ... and believes to have a session */
    uint64_t life;   /* counts starts of the agent: calls of another are not for it */
    char session[128];
    struct sim_memory memory;
    bool astray, adopted; /* what the last registration said */
    int64_t heard;        /* when the server last got a call of it; 0: never */
    struct gt_list tasks; /* struct sim_task, oldest first */
    struct gt_table by_id;
    struct gt_list ended; /* struct sim_ended: tasks whose end was accepted, oldest first */
    size_t n_tasks, n_unreported;
    /* its poll */
    int64_t revision, epoch; /* of the last answer in this session */
    char more[101];
    uint64_t walk;
    /* what it waits for: numbers of messages; 0: nothing */
    uint64_t waits[4];
    bool report_planned;
};

/* What becomes of one message. */
struct sim_passage {
    bool lost; /* the agent notices after rules.retry_ms, as a broken connection */
    int64_t delay_ms;
    int64_t again_ms; /* > 0: a request that comes once more, so much later */
};

struct sim_rules {
    void *arg;
    void (*fate)(void *arg, const struct sim_node *n, const struct sim_task *t,
                 struct sim_fate *ret); /* *ret is that of a task that runs at once and for ever */
    struct sim_passage (*passage)(void *arg, const struct sim_node *n, bool to_server);
    /* Its status on its node is another one. */
    void (*changed)(void *arg, const struct sim_node *n, const struct sim_task *t);
    /* The server has named it, or has left it out where it names all. */
    void (*told)(void *arg, const struct sim_node *n, const struct sim_task *t);
    int64_t beat_ms;   /* between heartbeats; 0: none */
    int64_t wait_ms;   /* of a poll; 0: 25 s, as the real one's */
    int64_t retry_ms;  /* 0: 500 */
    int64_t report_ms; /* from a change to its report, so that several go in one */
};

struct sim_agents;

/* `rules` is copied. The world must outlive the agents. */
struct sim_agents *sim_agents_new(struct sim_world *w, const struct sim_rules *rules);
void sim_agents_free(struct sim_agents *a);

/* The number of a new node, whose agent does not run yet. Two nodes may say the same id: a machine
 * and its clone. */
unsigned sim_agents_add(struct sim_agents *a, const struct sim_node_spec *spec);
unsigned sim_agents_count(const struct sim_agents *a);
struct sim_node *sim_agents_node(struct sim_agents *a, unsigned node);
struct sim_task *sim_node_task(const struct sim_node *n, const char *id); /* NULL: not there */

/* The agent starts (anew) in `delay` ms; until then it is down. Containers run on, and the agent
 * knows them again. */
void sim_agents_start(struct sim_agents *a, unsigned node, int64_t delay);
void sim_agents_stop(struct sim_agents *a, unsigned node);
/* The machine loses power: no container of it is left, and its agent is down. The agent's notes
 * survive, so that it will report its tasks as ended, or are gone like the rest. */
void sim_agents_crash(struct sim_agents *a, unsigned node, bool notes_survive);
/* After sim_world_restart(): who waits for an answer notices. */
void sim_agents_server_restarted(struct sim_agents *a);

/* For messages that an agent would not send: the key of a node. */
struct principal sim_node_principal(const struct sim_node *n);
/* What a detector found, as the server's liveness tells it: NodeLost or NodeBack. */
int sim_tell_change(struct sim_world *w, const struct detector_change *c, struct gt_err *err);

#endif
