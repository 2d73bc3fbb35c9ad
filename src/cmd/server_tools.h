/* What gantry-server does beside serving: verbs of `gantry` that read the state folder itself.
 * argv[0] is the verb. Exit codes. */
#ifndef GT_CMD_SERVER_TOOLS_H
#define GT_CMD_SERVER_TOOLS_H

/* 0: the same; 1: not the same, or it could not be run; 2: wrong usage. */
int server_replay(int argc, char **argv);
int server_backup(int argc, char **argv);
int server_restore(int argc, char **argv);

#endif
