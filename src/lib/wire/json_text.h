/* What reading and writing of JSON's strings share: where plain text ends. */
#ifndef GT_LIB_WIRE_JSON_TEXT_H
#define GT_LIB_WIRE_JSON_TEXT_H

#include <stdint.h>
#include <string.h>

/* Of each byte: is it below 0x20, '"', '\\' or above 0x7f? The high bit of a byte that is. */
static inline uint64_t json_special_bytes(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    uint64_t quote = w ^ (ones * '"'), slash = w ^ (ones * '\\');
    uint64_t hit = (w - ones * 0x20) | (quote - ones) | (slash - ones);
    return (hit | w) & highs;
}

/* From p to the first byte that ends a plain run; may stop early, never late. */
static inline const char *json_plain_run(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        if (json_special_bytes(w)) {
            break;
        }
        p += 8;
    }
    while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' &&
           *p != '\\') {
        p++;
    }
    return p;
}

#endif
