/* Which build of a program this is. */
#ifndef GT_LIB_BASE_BUILD_H
#define GT_LIB_BASE_BUILD_H

/* "0.1.0+" and the linker's build id of the running program, in hex: two programs with the same one
 * behave the same. */
const char *gt_build(void);

#endif
