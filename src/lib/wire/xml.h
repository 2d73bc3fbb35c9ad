/* Generated structs to the XML of the Query protocol. */
#ifndef GT_LIB_WIRE_XML_H
#define GT_LIB_WIRE_XML_H

#include "lib/base/buf.h"
#include "lib/wire/wire.h"

/* The members of a structure as elements, without an element around them. */
void wire_xml_encode(const struct wire_shape *shape, const void *in, struct gt_buf *to);

/* Text with & < > " escaped; what XML 1.0 cannot carry becomes U+FFFD. */
void wire_xml_text(struct gt_buf *to, struct gt_str text);

#endif
