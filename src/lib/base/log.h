/*
 * One line a message on standard error: time, level, component, text. Untrusted text is passed
 * through %s as it is; control characters come out as \xNN. Whoever handles an error logs it,
 * once; libraries log nothing above debug.
 */
#ifndef GT_LIB_BASE_LOG_H
#define GT_LIB_BASE_LOG_H

#include <stdbool.h>

enum gt_log_level { GT_LOG_DEBUG, GT_LOG_INFO, GT_LOG_WARN, GT_LOG_ERROR };

/* Both once, before threads start. GANTRY_LOG=debug|info|warn|error in the environment decides the
 * level when `level` is not set. */
void gt_log_init(const char *component);
void gt_log_set_level(enum gt_log_level level);
bool gt_log_enabled(enum gt_log_level level);

void gt_log(enum gt_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define gt_debug(...)                                                                              \
    do {                                                                                           \
        if (gt_log_enabled(GT_LOG_DEBUG)) {                                                        \
            gt_log(GT_LOG_DEBUG, __VA_ARGS__);                                                     \
        }                                                                                          \
    } while (0)
#define gt_info(...) gt_log(GT_LOG_INFO, __VA_ARGS__)
#define gt_warn(...) gt_log(GT_LOG_WARN, __VA_ARGS__)
#define gt_error(...) gt_log(GT_LOG_ERROR, __VA_ARGS__)

#endif
