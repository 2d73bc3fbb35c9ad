#include "node/agent/standing.h"

#include "lib/base/mem.h"
#include "lib/base/str.h"

#include <stdio.h>

enum { FIRST_MS = 100, PASSING_MS = 2000, FOR_PEOPLE_MS = 60000 };

const char *standing_name(enum standing_kind kind)
{
    static const char *const names[] = {
        [STANDING_NEW] = "new",
        [STANDING_GOOD] = "good",
        [STANDING_AWAY] = "away",
        [STANDING_REFUSED] = "refused",
        [STANDING_SUPERSEDED] = "superseded",
        [STANDING_REMOVED] = "removed",
    };
    return names[kind];
}

static enum standing_kind kind_of(const char *exception, bool registering)
{
    static const struct {
        const char *exception;
        enum standing_kind kind;
    } kinds[] = {
        {"UnrecognizedClientException", STANDING_REFUSED},
        {"InvalidSignatureException", STANDING_REFUSED},
        {"AccessDeniedException", STANDING_REFUSED},
        {"InactiveNodeException", STANDING_REMOVED},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(kinds); i++) {
        if (gt_streq(exception, kinds[i].exception)) {
            return kinds[i].kind;
        }
    }
    /* Elsewhere a stale session only says that it is time to register again. */
    bool superseded = registering && gt_streq(exception, "StaleSessionException");
    return superseded ? STANDING_SUPERSEDED : STANDING_AWAY;
}

void standing_judge(const char *exception, const struct gt_err *err, bool registering,
                    const char *state_dir, struct standing *ret)
{
    ret->kind = kind_of(exception, registering);
    switch (ret->kind) {
    case STANDING_REFUSED:
        snprintf(ret->text, sizeof ret->text,
                 "the server does not take this node's key: %s. Tasks keep running. To have the "
                 "machine back as a new node: remove %s/agent/node.json, and start the agent with "
                 "--join and a token of `gantry token create`",
                 err->msg, state_dir);
        break;
    case STANDING_SUPERSEDED:
        snprintf(ret->text, sizeof ret->text,
                 "%s. This agent changes nothing any more; its tasks keep running. Is this "
                 "machine, or its state, a copy of another? Then remove %s/agent/node.json here "
                 "and join with a token. Else end the other agent, and start this one again",
                 err->msg, state_dir);
        break;
    case STANDING_REMOVED:
        snprintf(ret->text, sizeof ret->text, "%s", err->msg);
        break;
    case STANDING_NEW:
    case STANDING_GOOD:
    case STANDING_AWAY:
    default:
        snprintf(ret->text, sizeof ret->text, "the server: %s; tasks keep running, trying again",
                 err->msg);
        break;
    }
}

int64_t standing_pause(enum standing_kind kind, int64_t last_ms)
{
    int64_t most = kind == STANDING_AWAY ? PASSING_MS : FOR_PEOPLE_MS;
    return last_ms == 0 ? FIRST_MS : GT_MIN(last_ms * 2, most);
}
