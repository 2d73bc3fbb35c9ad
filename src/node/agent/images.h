/* For node/agent alone: removing images. */
#ifndef GT_NODE_AGENT_IMAGES_H
#define GT_NODE_AGENT_IMAGES_H

struct image_store;

/* Removes every image that no container runs from, and what a crash left. Returns how many images
 * went. May take long. */
unsigned images_prune(struct image_store *s);

#endif
