/* What is done from time to time: logs past their retention, and of log groups that are no more,
 * are forgotten. One thread, idle nearly always. */
#ifndef GT_CONTROL_SERVER_HOUSEKEEPING_H
#define GT_CONTROL_SERVER_HOUSEKEEPING_H

struct server;
struct housekeeping;

struct housekeeping *housekeeping_start(struct server *s);
void housekeeping_stop(struct housekeeping *h); /* NULL is allowed; waits for what is under way */

#endif
