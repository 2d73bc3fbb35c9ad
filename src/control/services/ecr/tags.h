/* For services/ecr alone: the tags of a resource (not of an image), and their rules. */
#ifndef GT_CONTROL_SERVICES_ECR_TAGS_H
#define GT_CONTROL_SERVICES_ECR_TAGS_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/wire/gen/ecr.h"

#define ECR_LIMIT_TAGS 50

/* `tags` with those of `add` put or replaced, in the order of their keys. */
int ecr_tags_merge(struct ecr_tag_list *tags, const struct ecr_tag_list *add, struct gt_arena *a,
                   struct gt_err *err);
/* Without those of `keys`; keys that are not there do not matter. */
void ecr_tags_remove(struct ecr_tag_list *tags, const struct wire_str_list *keys);

#endif
