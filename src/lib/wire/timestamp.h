/* Times on the wire, in milliseconds since 1970, UTC. */
#ifndef GT_LIB_WIRE_TIMESTAMP_H
#define GT_LIB_WIRE_TIMESTAMP_H

#include "lib/base/buf.h"

#include <stdint.h>

/* RFC 3339 / ISO 8601 ("2026-11-23T12:34:56.789Z", offsets, basic form "20261123T123456Z").
 * -EINVAL when it is none. */
int wire_time_parse(struct gt_str text, int64_t *ret_ms);
/* Epoch seconds: "1479759352.5". */
void wire_time_put_unix(int64_t ms, struct gt_buf *to);
/* "2026-11-23T12:34:56.789Z", without the fraction when it is zero. */
void wire_time_put_iso(int64_t ms, struct gt_buf *to);

#endif
