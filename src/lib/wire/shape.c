#include "lib/wire/wire.h"

const struct wire_shape wire_string_shape = {
    .name = "String", .type = WIRE_STRING, .size = sizeof(struct gt_str)};
const struct wire_shape wire_blob_shape = {
    .name = "Blob", .type = WIRE_BLOB, .size = sizeof(struct gt_str)};
const struct wire_shape wire_integer_shape = {
    .name = "Integer", .type = WIRE_INTEGER, .size = sizeof(int64_t)};
const struct wire_shape wire_long_shape = {
    .name = "Long", .type = WIRE_LONG, .size = sizeof(int64_t)};
const struct wire_shape wire_timestamp_shape = {
    .name = "Timestamp", .type = WIRE_TIMESTAMP, .size = sizeof(int64_t)};
const struct wire_shape wire_boolean_shape = {
    .name = "Boolean", .type = WIRE_BOOLEAN, .size = sizeof(bool)};
const struct wire_shape wire_double_shape = {
    .name = "Double", .type = WIRE_DOUBLE, .size = sizeof(double)};
