/*
 * The plot: for each service how many tasks ran and how many were desired, then the share of CPU
 * and memory that was reserved in each zone; what happened are numbered lines through all of them.
 */
#include "control/simulate/report.h"
#include "lib/base/mem.h"
#include "lib/wire/xml.h"

#include <math.h>
#include <stdio.h>

enum {
    WIDTH = 960,
    LEFT = 64,
    RIGHT = 24,
    TOP = 56,
    PANEL = 130, /* of a panel; the plot in it is less high */
    PLOT = 84,
    ACROSS = WIDTH - LEFT - RIGHT,
    LEGEND_LINE = 18,
    SERVICES_SHOWN = 12,
    ZONES_SHOWN = 8,
    EVENTS_SHOWN = 20,
};

static const char STYLE[] =
    "<style>\n"
    "svg { background: #ffffff; font: 12px sans-serif; }\n"
    "text { fill: #333333; } .title { font-size: 15px; font-weight: bold; }\n"
    ".small { font-size: 11px; fill: #666666; }\n"
    ".axis { stroke: #bbbbbb; fill: none; } .grid { stroke: #e8e8e8; }\n"
    ".desired { stroke: #999999; stroke-dasharray: 4 3; fill: none; stroke-width: 1.5; }\n"
    ".running { stroke: #1f77b4; fill: none; stroke-width: 1.5; }\n"
    ".event { stroke: #d62728; stroke-dasharray: 2 3; } .number { fill: #d62728; }\n"
    ".zone { fill: none; stroke-width: 1.5; }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "svg { background: #16181d; } text { fill: #dddddd; } .small { fill: #9a9a9a; }\n"
    ".axis { stroke: #555555; } .grid { stroke: #2b2e35; } .desired { stroke: #8a8a8a; }\n"
    ".running { stroke: #6cb4ee; } .event { stroke: #ff7f6e; } .number { fill: #ff7f6e; }\n"
    "}\n</style>\n";

/* Told apart on light and on dark, and by eyes that see few colours. */
static const char *const ZONE_COLOURS[ZONES_SHOWN] = {"#1f77b4", "#e68a00", "#2ca02c", "#a05fd0",
                                                      "#d6457a", "#17a2b8", "#8c6d31", "#7f7f7f"};

struct plot {
    const struct outcome *o;
    struct gt_buf *to;
    double top; /* of the panel that is drawn */
};

static void text(struct plot *p, double x, double y, const char *class, const char *anchor,
                 const char *s)
{
    gt_buf_printf(p->to, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">", x, y,
                  class, anchor);
    wire_xml_text(p->to, gt_str(s));
    gt_buf_puts(p->to, "</text>\n");
}

static void line(struct plot *p, double x1, double y1, double x2, double y2, const char *class)
{
    gt_buf_printf(p->to, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n",
                  x1, y1, x2, y2, class);
}

static double x_of(const struct plot *p, int64_t at)
{
    return LEFT + ACROSS * (double)at / (double)p->o->scenario->duration;
}

static double y_of(const struct plot *p, double share)
{
    return p->top + PLOT * (1 - share);
}

/* ---- axes ---- */

/* 1, 2 or 5 times a power of ten, so that at most about four of them are needed. */
static double nice_step(double most)
{
    double step = pow(10, floor(log10(GT_MAX(most, 1.0))));
    return most / step > 5 ? 2 * step : most / step > 2 ? step : step / 2;
}

static int64_t time_step(int64_t duration)
{
    static const int64_t steps[] = {1,   2,    5,    10,   20,   30,    60,    120,   300,  600,
                                    900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400};
    for (size_t i = 0; i < GT_ARRAY_LEN(steps); i++) {
        if (duration / (steps[i] * 1000) <= 12) {
            return steps[i] * 1000;
        }
    }
    return 5 * 86400000LL;
}

static void time_axis(struct plot *p)
{
    int64_t step = time_step(p->o->scenario->duration);
    for (int64_t at = 0; at <= p->o->scenario->duration; at += step) {
        gt_auto_buf struct gt_buf label = GT_BUF_INIT(100);
        report_time(at, &label);
        line(p, x_of(p, at), p->top, x_of(p, at), p->top + PLOT, "grid");
        text(p, x_of(p, at), p->top + PLOT + 14, "small", "middle", at ? label.p : "0");
    }
    line(p, LEFT, p->top + PLOT, WIDTH - RIGHT, p->top + PLOT, "axis");
    line(p, LEFT, p->top, LEFT, p->top + PLOT, "axis");
}

/* Labels from 0 to most. */
static void value_axis(struct plot *p, double most, double step, double scale, const char *unit)
{
    for (double v = 0; v <= most + step / 1e6; v += step) {
        gt_auto_buf struct gt_buf label = GT_BUF_INIT(100);
        gt_buf_printf(&label, "%.6g%s", v * scale, unit);
        line(p, LEFT - 4, y_of(p, v / most), WIDTH - RIGHT, y_of(p, v / most), "grid");
        text(p, LEFT - 8, y_of(p, v / most) + 4, "small", "end", label.p);
    }
}

static void event_lines(struct plot *p)
{
    for (size_t i = 0; i < p->o->n_events && i < EVENTS_SHOWN; i++) {
        double x = x_of(p, p->o->events[i].at);
        line(p, x, p->top, x, p->top + PLOT, "event");
    }
}

/* ---- lines ---- */

/* Many samples become one for each half point: that with the least value, so that no dip is lost;
 * the last, for what is desired. */
struct thin {
    size_t n, each;
};

static struct thin thin(const struct outcome *o)
{
    size_t each = o->n_samples / (2 * ACROSS) + 1;
    return (struct thin){.n = (o->n_samples + each - 1) / each, .each = each};
}

static void counts(struct plot *p, const int32_t *v, bool least, double most, const char *class)
{
    struct thin t = thin(p->o);
    double y = 0;
    gt_buf_printf(p->to, "<path class=\"%s\" d=\"", class);
    for (size_t i = 0; i < t.n; i++) {
        size_t end = GT_MIN((i + 1) * t.each, p->o->n_samples);
        int32_t value = v[end - 1];
        for (size_t k = i * t.each; least && k < end; k++) {
            value = GT_MIN(value, v[k]);
        }
        double x = x_of(p, p->o->sampled[i * t.each]), to = y_of(p, value / most);
        if (i == 0) {
            gt_buf_printf(p->to, "M%.1f %.1f", x, to);
        } else if (fabs(to - y) > 0.01) {
            gt_buf_printf(p->to, "H%.1fV%.1f", x, to);
        }
        y = to;
    }
    gt_buf_printf(p->to, "H%d\"/>\n", WIDTH - RIGHT);
}

static void shares(struct plot *p, const float *v, const char *colour)
{
    struct thin t = thin(p->o);
    bool down = false; /* the pen */
    gt_buf_printf(p->to, "<path class=\"zone\" stroke=\"%s\" d=\"", colour);
    for (size_t i = 0; i < t.n; i++) {
        float share = v[i * t.each];
        if (share >= 0) {
            gt_buf_printf(p->to, "%c%.1f %.1f", down ? 'L' : 'M',
                          x_of(p, p->o->sampled[i * t.each]), y_of(p, (double)GT_MIN(share, 1)));
        }
        down = share >= 0;
    }
    gt_buf_puts(p->to, "\"/>\n");
}

/* ---- panels ---- */

static void service_panel(struct plot *p, size_t i)
{
    const struct outcome_service *s = &p->o->services[i];
    int32_t most = 1;
    for (size_t k = 0; k < p->o->n_samples; k++) {
        most = GT_MAX(most, GT_MAX(s->series_running[k], s->series_desired[k]));
    }
    double step = GT_MAX(nice_step(most), 1.0);
    double scale = ceil(most / step) * step;
    gt_auto_buf struct gt_buf name = GT_BUF_INIT(200);
    gt_buf_str(&name, p->o->scenario->services[i].task.name);
    gt_buf_puts(&name, ": tasks running (line) and desired (dashed)");
    text(p, LEFT, p->top - 8, "label", "start", name.p);
    value_axis(p, scale, step, 1, "");
    time_axis(p);
    event_lines(p);
    counts(p, s->series_desired, /* least= */ false, scale, "desired");
    counts(p, s->series_running, /* least= */ true, scale, "running");
    p->top += PANEL;
}

static void zone_panel(struct plot *p, const char *title, bool cpu)
{
    text(p, LEFT, p->top - 8, "label", "start", title);
    value_axis(p, 1, 0.25, 100, "%");
    time_axis(p);
    event_lines(p);
    size_t n = GT_MIN(p->o->fleet->n_zones, (size_t)ZONES_SHOWN);
    double x = WIDTH - RIGHT;
    for (size_t i = n; i-- > 0;) {
        const struct outcome_zone *z = &p->o->zones[i];
        const char *name =
            gt_arena_printf(p->o->arena, "zone " GT_STR_FMT, GT_STR_ARG(p->o->fleet->zones[i]));
        shares(p, cpu ? z->series_cpu : z->series_memory, ZONE_COLOURS[i]);
        text(p, x, p->top - 8, "small", "end", name);
        x -= 7.0 * (double)strlen(name) + 6;
        gt_buf_printf(p->to,
                      "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"zone\" "
                      "stroke=\"%s\"/>\n",
                      x - 18, p->top - 12, x - 4, p->top - 12, ZONE_COLOURS[i]);
        x -= 30;
    }
    p->top += PANEL;
}

/* ---- the whole ---- */

/* Those with the most desired tasks, in the order of the scenario. */
static size_t choose(const struct outcome *o, bool *shown)
{
    size_t n = 0, all = o->scenario->n_services;
    while (n < all && n < SERVICES_SHOWN) {
        size_t best = all;
        for (size_t i = 0; i < all; i++) {
            if (!shown[i] && (best == all || o->services[i].highest > o->services[best].highest)) {
                best = i;
            }
        }
        shown[best] = true;
        n++;
    }
    return n;
}

/* Beside each other where lines are too near for that. */
static void event_numbers(struct plot *p)
{
    double right = 0;
    for (size_t i = 0; i < p->o->n_events && i < EVENTS_SHOWN; i++) {
        char number[16];
        double x = GT_MAX(x_of(p, p->o->events[i].at), right);
        snprintf(number, sizeof number, "%zu", i + 1);
        text(p, x, TOP - 16, "number", "middle", number);
        right = x + (i + 1 < 10 ? 12 : 18);
    }
}

static void legend(struct plot *p)
{
    size_t n = GT_MIN(p->o->n_events, (size_t)EVENTS_SHOWN);
    double y = p->top;
    for (size_t i = 0; i < n; i++, y += LEGEND_LINE) {
        gt_auto_buf struct gt_buf said = GT_BUF_INIT(400);
        char number[16];
        snprintf(number, sizeof number, "%zu", i + 1);
        report_time(p->o->events[i].at, &said);
        gt_buf_printf(&said, "  %s", p->o->events[i].text);
        text(p, LEFT, y, "number", "end", number);
        text(p, LEFT + 12, y, "label", "start", said.p);
    }
    if (p->o->n_events > n) {
        gt_auto_buf struct gt_buf said = GT_BUF_INIT(100);
        gt_buf_printf(&said, "and %zu more events", p->o->n_events - n);
        text(p, LEFT + 12, y, "small", "start", said.p);
    }
}

static void heading(struct plot *p, size_t shown)
{
    gt_auto_buf struct gt_buf said = GT_BUF_INIT(1000);
    size_t hidden = p->o->scenario->n_services - shown;
    gt_buf_printf(&said, "%s, seed %llu", p->o->scenario->name, (unsigned long long)p->o->seed);
    if (hidden) {
        gt_buf_printf(&said, "; %zu smaller services are not shown", hidden);
    }
    text(p, LEFT, 18, "title", "start", said.p);
}

void report_svg(const struct outcome *o, struct gt_buf *to)
{
    struct plot p = {.o = o, .to = to, .top = TOP + 10};
    bool shown[SCENARIO_SERVICES_MAX] = {0};
    size_t n = choose(o, shown);
    size_t lines = GT_MIN(o->n_events, (size_t)EVENTS_SHOWN) + (o->n_events > EVENTS_SHOWN);
    size_t height = TOP + 10 + (n + 2) * PANEL + lines * LEGEND_LINE + 10;
    gt_buf_printf(to,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" "
                  "viewBox=\"0 0 %d %zu\" role=\"img\">\n<title>gantry simulate: ",
                  WIDTH, height, WIDTH, height);
    wire_xml_text(to, gt_str(o->scenario->name));
    gt_buf_puts(to, "</title>\n");
    gt_buf_puts(to, STYLE);
    heading(&p, n);
    event_numbers(&p);
    for (size_t i = 0; i < o->scenario->n_services; i++) {
        if (shown[i]) {
            service_panel(&p, i);
        }
    }
    zone_panel(&p, "CPU that is reserved", /* cpu= */ true);
    zone_panel(&p, "memory that is reserved", /* cpu= */ false);
    legend(&p);
    gt_buf_puts(to, "</svg>\n");
}
