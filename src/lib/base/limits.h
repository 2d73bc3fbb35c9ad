/* Every size that comes from outside has its cap here, so that one page shows them all. */
#ifndef GT_LIB_BASE_LIMITS_H
#define GT_LIB_BASE_LIMITS_H

#define GT_KIB (1024UL)
#define GT_MIB (1024UL * 1024UL)
#define GT_GIB (1024UL * 1024UL * 1024UL)

/* API */
#define GT_LIMIT_API_BODY (10 * GT_MIB)      /* PutLogEvents takes 1 MiB of events, escaped */
#define GT_LIMIT_STRANGER_BODY (64 * GT_KIB) /* without a key that we know; more is not read */
#define GT_LIMIT_API_ARENA (64 * GT_MIB)     /* decoded request plus answer */
#define GT_LIMIT_API_ANSWER (16 * GT_MIB)
/* Of the tasks in one answer to Poll, before the last of them. Escapes make a text six times as
 * long at most: with the largest task behind it that fits into an answer. */
#define GT_LIMIT_POLL_PAGE (1 * GT_MIB)
#define GT_LIMIT_HEADERS (32 * GT_KIB)
#define GT_LIMIT_JSON_DEPTH 64
#define GT_LIMIT_URL (16 * GT_KIB)

/* images */
#define GT_LIMIT_MANIFEST (4 * GT_MIB) /* what registries agree on */
#define GT_LIMIT_IMAGE_CONFIG (4 * GT_MIB)
#define GT_LIMIT_LAYERS 127 /* overlayfs and docker agree */
#define GT_LIMIT_BLOB (20 * GT_GIB)
#define GT_LIMIT_UNPACKED (64 * GT_GIB)
#define GT_LIMIT_UNPACKED_FILES 4000000UL
/* A pull stops before less than this stays free, or a fiftieth of a small file system. */
#define GT_LIMIT_KEPT_FREE (256 * GT_MIB)
#define GT_LIMIT_UNPACKED_DEPTH 256 /* removing a tree takes a descriptor for each level */
#define GT_LIMIT_UNPACK_RATIO 200   /* of a layer that is ... */
#define GT_LIMIT_UNPACK_RATIO_FROM (4 * GT_GIB) /* ... larger than this; zeros in gzip: 1030 */

/* core */
#define GT_LIMIT_RECORD (1 * GT_MIB)
#define GT_LIMIT_KEY 1024
#define GT_LIMIT_PAST (1 * GT_GIB) /* keys and values of states of the past that are in memory */
#define GT_LIMIT_TX_WRITES 20000
#define GT_LIMIT_TASK_DEFINITION (64 * GT_KIB) /* as ECS has it: checks may take n * n */
/* What a call of a session is asked of policies: no operation takes more. */
#define GT_LIMIT_CALL_RESOURCES 100
#define GT_LIMIT_CALL_TAGS 1000
#define GT_LIMIT_CALL_TEXT (2 * GT_KIB) /* an ARN, a tag's key or value */
#define GT_LIMIT_SCENARIO (1 * GT_MIB)  /* what `gantry simulate` reads */

/* logs */
#define GT_LIMIT_LOG_EVENT (256 * GT_KIB)
#define GT_LIMIT_LOG_SPOOL (256 * GT_MIB)   /* of a container, unless max-buffer-size says */
#define GT_LIMIT_LOG_LEFT (1 * GT_GIB)      /* on a node, of tasks that are gone */
#define GT_LIMIT_LOG_SPOOL_MIN (4 * GT_KIB) /* of max-buffer-size */
#define GT_LIMIT_LOG_SPOOL_MAX (1024 * GT_GIB)

#endif
