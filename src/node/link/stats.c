/*
 * Statistics in the shape of docker's /containers/<id>/stats, from cgroup files of either version:
 * each value has its file name in v2 and in v1, and whichever is in one of the container's
 * directories is read. The network's are those of the host's end of the veth, with the directions
 * swapped.
 */
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/table.h"
#include "node/link/link_priv.h"
#include "node/link/metadata.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define FILE_MAX (64 * 1024)
#define NO_LIMIT UINT64_MAX

struct cpu {
    uint64_t total, kernel, user, system; /* ns */
    uint64_t periods, throttled_periods, throttled_time;
};
struct sample {
    int64_t at; /* ms since 1970; 0: none */
    struct cpu cpu;
    uint64_t rx_bytes, tx_bytes;
};
/* The sample before, for precpu_stats and rates; by what its endpoint id hashes to. */
static struct {
    uint64_t hash;
    struct sample last;
} memory[512];

static bool read_file(const struct link_container *c, const char *name, struct gt_buf *to)
{
    for (size_t i = 0; i < c->n_cgroups; i++) {
        char path[512];
        gt_buf_reset(to);
        snprintf(path, sizeof path, GT_STR_FMT "/%s", GT_STR_ARG(c->cgroups[i]), name);
        if (gt_file_read(AT_FDCWD, path, to, NULL) == 0 && to->n > 0) {
            return true;
        }
    }
    return false;
}

static bool read_number(const struct link_container *c, const char *name, uint64_t *ret)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(FILE_MAX);
    if (!read_file(c, name, &b)) {
        return false;
    }
    *ret = b.p[0] == 'm' ? NO_LIMIT : strtoull(b.p, NULL, 10); /* "max" */
    return true;
}

/* The value of `key` in a file of lines "key value". */
static uint64_t field(const struct gt_buf *b, const char *key)
{
    size_t n = strlen(key);
    for (const char *line = b->p; line && *line;) {
        if (strncmp(line, key, n) == 0 && line[n] == ' ') {
            return strtoull(line + n, NULL, 10);
        }
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return 0;
}

static uint64_t system_cpu(void)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(1024 * 1024);
    uint64_t v[8] = {0}, sum = 0;
    if (gt_file_read(AT_FDCWD, "/proc/stat", &b, NULL) == 0 && b.n > 0 &&
        sscanf(b.p,
               "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
               " %" SCNu64 " %" SCNu64,
               &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) >= 7) {
        for (size_t i = 0; i < GT_ARRAY_LEN(v); i++) {
            sum += v[i];
        }
    }
    return sum * (1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK));
}

static struct cpu read_cpu(const struct link_container *c)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(FILE_MAX);
    const uint64_t tick = 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK);
    struct cpu cpu = {.system = system_cpu()};
    if (read_file(c, "cpu.stat", &b)) {
        cpu.total = field(&b, "usage_usec") * 1000;
        cpu.user = field(&b, "user_usec") * 1000;
        cpu.kernel = field(&b, "system_usec") * 1000;
        cpu.periods = field(&b, "nr_periods");
        cpu.throttled_periods = field(&b, "nr_throttled");
        cpu.throttled_time = field(&b, "throttled_usec") * 1000 + field(&b, "throttled_time");
    }
    if (read_number(c, "cpuacct.usage", &cpu.total) && read_file(c, "cpuacct.stat", &b)) {
        cpu.user = field(&b, "user") * tick;
        cpu.kernel = field(&b, "system") * tick;
    }
    return cpu;
}

static void write_cpu(const char *name, const struct cpu *cpu, struct gt_buf *to)
{
    gt_buf_printf(
        to,
        "\"%s\":{\"cpu_usage\":{\"total_usage\":%" PRIu64 ",\"usage_in_kernelmode\":%" PRIu64
        ",\"usage_in_usermode\":%" PRIu64 "},\"system_cpu_usage\":%" PRIu64 ",\"online_cpus\":%ld,",
        name, cpu->total, cpu->kernel, cpu->user, cpu->system, sysconf(_SC_NPROCESSORS_ONLN));
    gt_buf_printf(to,
                  "\"throttling_data\":{\"periods\":%" PRIu64 ",\"throttled_periods\":%" PRIu64
                  ",\"throttled_time\":%" PRIu64 "}},",
                  cpu->periods, cpu->throttled_periods, cpu->throttled_time);
}

static void write_memory_detail(const struct gt_buf *b, struct gt_buf *to)
{
    const char *sep = "";
    char key[64];
    uint64_t value;
    for (const char *line = b->p; line && *line;) {
        if (sscanf(line, "%63[a-z0-9_] %" SCNu64, key, &value) == 2) {
            gt_buf_printf(to, "%s\"%s\":%" PRIu64, sep, key, value);
            sep = ",";
        }
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
}

static void write_memory(const struct link_container *c, struct gt_buf *to)
{
    uint64_t usage = 0, peak = 0, limit = NO_LIMIT;
    uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (!read_number(c, "memory.current", &usage)) {
        read_number(c, "memory.usage_in_bytes", &usage);
    }
    if (!read_number(c, "memory.peak", &peak)) {
        read_number(c, "memory.max_usage_in_bytes", &peak);
    }
    if (!read_number(c, "memory.max", &limit)) {
        read_number(c, "memory.limit_in_bytes", &limit);
    }
    gt_buf_printf(to,
                  "\"memory_stats\":{\"usage\":%" PRIu64 ",\"max_usage\":%" PRIu64 ",\"stats\":{",
                  usage, GT_MAX(peak, usage));
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(FILE_MAX);
    if (read_file(c, "memory.stat", &b)) {
        write_memory_detail(&b, to);
    }
    gt_buf_printf(to, "},\"limit\":%" PRIu64 "},", GT_MIN(limit, all));
}

static void write_pids(const struct link_container *c, struct gt_buf *to)
{
    uint64_t current = 0, limit = NO_LIMIT;
    read_number(c, "pids.current", &current);
    gt_buf_printf(to, "\"pids_stats\":{\"current\":%" PRIu64, current);
    if (read_number(c, "pids.max", &limit) && limit != NO_LIMIT) {
        gt_buf_printf(to, ",\"limit\":%" PRIu64, limit);
    }
    gt_buf_puts(to, "},");
}

/* io.stat: "8:0 rbytes=1 wbytes=2 ..."; blkio.throttle.io_service_bytes: "8:0 Read 1". */
static void write_io(const struct link_container *c, struct gt_buf *to)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(FILE_MAX);
    const char *sep = "";
    gt_buf_puts(to, "\"blkio_stats\":{\"io_service_bytes_recursive\":[");
    bool v2 = read_file(c, "io.stat", &b);
    if (v2 || read_file(c, "blkio.throttle.io_service_bytes_recursive", &b) ||
        read_file(c, "blkio.throttle.io_service_bytes", &b)) {
        for (const char *line = b.p; line && *line;) {
            unsigned major, minor;
            uint64_t a, w;
            char op[12];
            if (v2 && sscanf(line, "%u:%u rbytes=%" SCNu64 " wbytes=%" SCNu64, &major, &minor, &a,
                             &w) == 4) {
                gt_buf_printf(to,
                              "%s{\"major\":%u,\"minor\":%u,\"op\":\"read\",\"value\":%" PRIu64
                              "},{\"major\":%u,\"minor\":%u,\"op\":\"write\",\"value\":%" PRIu64
                              "}",
                              sep, major, minor, a, major, minor, w);
                sep = ",";
            } else if (!v2 &&
                       sscanf(line, "%u:%u %11[A-Za-z] %" SCNu64, &major, &minor, op, &a) == 4) {
                gt_buf_printf(to,
                              "%s{\"major\":%u,\"minor\":%u,\"op\":\"%s\",\"value\":%" PRIu64 "}",
                              sep, major, minor, op, a);
                sep = ",";
            }
            line = strchr(line, '\n');
            line = line ? line + 1 : NULL;
        }
    }
    gt_buf_puts(to, "]},");
}

static uint64_t veth_counter(struct gt_str veth, const char *name)
{
    char path[128];
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(4096);
    if (veth.n == 0 || veth.n > 15 || memchr(veth.p, '/', veth.n)) {
        return 0;
    }
    snprintf(path, sizeof path, "/sys/class/net/" GT_STR_FMT "/statistics/%s", GT_STR_ARG(veth),
             name);
    return gt_file_read(AT_FDCWD, path, &b, NULL) == 0 && b.n ? strtoull(b.p, NULL, 10) : 0;
}

static void write_network(struct gt_str veth, const struct sample *now, struct gt_buf *to)
{
    gt_buf_printf(to, "\"networks\":{\"eth0\":{\"rx_bytes\":%" PRIu64 ",\"rx_packets\":%" PRIu64,
                  now->rx_bytes, veth_counter(veth, "tx_packets"));
    gt_buf_printf(to, ",\"rx_errors\":%" PRIu64 ",\"rx_dropped\":%" PRIu64,
                  veth_counter(veth, "tx_errors"), veth_counter(veth, "tx_dropped"));
    gt_buf_printf(to, ",\"tx_bytes\":%" PRIu64 ",\"tx_packets\":%" PRIu64, now->tx_bytes,
                  veth_counter(veth, "rx_packets"));
    gt_buf_printf(to, ",\"tx_errors\":%" PRIu64 ",\"tx_dropped\":%" PRIu64 "}},",
                  veth_counter(veth, "rx_errors"), veth_counter(veth, "rx_dropped"));
}

static struct sample exchange(struct gt_str endpoint, const struct sample *now)
{
    uint64_t hash = gt_hash(endpoint.p, endpoint.n, 0);
    size_t slot = hash % GT_ARRAY_LEN(memory);
    struct sample before = memory[slot].hash == hash ? memory[slot].last : (struct sample){0};
    memory[slot].hash = hash;
    memory[slot].last = *now;
    return before;
}

static double rate(uint64_t before, uint64_t now, int64_t ms)
{
    return ms > 0 && now > before ? (double)(now - before) * 1000.0 / (double)ms : 0;
}

void stats_write(const struct link_task *t, const struct link_container *c, struct gt_buf *to)
{
    if (c->n_cgroups == 0) {
        gt_buf_puts(to, "null");
        return;
    }
    struct sample now = {.at = gt_clock_real_ms(),
                         .cpu = read_cpu(c),
                         .rx_bytes = veth_counter(t->veth, "tx_bytes"),
                         .tx_bytes = veth_counter(t->veth, "rx_bytes")};
    struct sample before = exchange(c->endpoint, &now);
    char read[25], preread[25] = "0001-01-01T00:00:00Z";
    gt_time_rfc3339(now.at, read);
    if (before.at) {
        gt_time_rfc3339(before.at, preread);
    }
    gt_buf_printf(to, "{\"read\":\"%s\",\"preread\":\"%s\",", read, preread);
    write_pids(c, to);
    write_io(c, to);
    gt_buf_puts(to, "\"num_procs\":0,\"storage_stats\":{},");
    write_cpu("cpu_stats", &now.cpu, to);
    write_cpu("precpu_stats", &before.cpu, to);
    write_memory(c, to);
    gt_buf_puts(to, "\"name\":");
    meta_json_string(c->name, to);
    gt_buf_puts(to, ",\"id\":");
    meta_json_string(c->runtime_id, to);
    gt_buf_putc(to, ',');
    if (t->veth.n > 0) {
        write_network(t->veth, &now, to);
    }
    if (before.at && t->veth.n > 0) {
        int64_t ms = now.at - before.at;
        gt_buf_printf(
            to, "\"network_rate_stats\":{\"rx_bytes_per_sec\":%g,\"tx_bytes_per_sec\":%g}}",
            rate(before.rx_bytes, now.rx_bytes, ms), rate(before.tx_bytes, now.tx_bytes, ms));
    } else {
        to->n--; /* the comma */
        gt_buf_putc(to, '}');
    }
}
