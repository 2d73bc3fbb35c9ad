#!/usr/bin/env python3
"""Turns src/store/record/schema/*.json into C: gen/rec_<area>.h with structs, rec_gen.c with
descriptors.

    gen_records.py OUTDIR SCHEMA.json ...

OUTDIR/rec_<area>.h for each schema and OUTDIR/rec_gen.c. The rules of a schema are in
src/store/record/schema/README.md; what breaks one of them stops the build here.
"""
import json
import os
import re
import sys

SCALARS = {
    "str": ("struct gt_str", "REC_STR"),
    "bytes": ("struct gt_str", "REC_STR"),
    "i64": ("int64_t", "REC_I64"),
    "bool": ("bool", "REC_BOOL"),
    "f64": ("double", "REC_F64"),
    "list<str>": ("struct rec_str_list", "REC_LIST_STR"),
    "list<i64>": ("struct rec_i64_list", "REC_LIST_I64"),
}
NAME = re.compile(r"^[a-z][a-z0-9_]*$")
C_WORDS = {"default", "register", "static", "volatile", "restrict", "int", "long", "short", "char"}


def die(text):
    sys.exit(f"gen_records: {text}")


def type_id(name):
    """FNV-1a folded to 16 bits: the id in a record's header. Never 0."""
    h = 0x811C9DC5
    for b in name.encode():
        h = ((h ^ b) * 0x01000193) & 0xFFFFFFFF
    return ((h >> 16) ^ (h & 0xFFFF)) or 1


class Type:
    def __init__(self, name, area, spec, is_record):
        self.name, self.area, self.is_record = name, area, is_record
        self.version = spec.get("version", 1)
        self.fields = sorted(spec["fields"], key=lambda f: f["n"])
        self.id = type_id(name) if is_record else 0
        numbers, names = set(), set()
        for f in self.fields:
            where = f"{area}.json: {name}.{f['name']}"
            if not NAME.match(f["name"]) or f["name"] in C_WORDS:
                die(f"{where}: not a usable name")
            if not 1 <= f["n"] < 1 << 28:
                die(f"{where}: number out of range")
            if f["n"] in numbers or f["name"] in names:
                die(f"{where}: number or name used twice")
            numbers.add(f["n"])
            names.add(f["name"])


def load(paths):
    types = {}
    for path in sorted(paths):
        area = os.path.basename(path)[: -len(".json")]
        with open(path) as f:
            schema = json.load(f)
        for kind in ("records", "structs"):
            for name, spec in schema.get(kind, {}).items():
                if name in types:
                    die(f"{path}: {name} is there already, in {types[name].area}.json")
                types[name] = Type(name, area, spec, kind == "records")
    ids = {}
    for t in types.values():
        if t.is_record and ids.setdefault(t.id, t.name) != t.name:
            die(f"{t.name} and {ids[t.id]} have the same type id: rename one")
        for f in t.fields:
            sub = sub_type(f["type"])
            if f["type"] not in SCALARS and sub not in types:
                die(f"{t.area}.json: {t.name}.{f['name']}: unknown type {f['type']}")
            if sub and types[sub].area not in (t.area, "common"):
                die(f"{t.area}.json: {t.name} uses {sub} of another area: move it to common.json")
    return types


def sub_type(text):
    if text in SCALARS:
        return None
    m = re.match(r"^list<(\w+)>$", text)
    return m.group(1) if m else text


def c_type(text):
    if text in SCALARS:
        return SCALARS[text][0] + " "
    if text.startswith("list<"):
        return f"struct rec_{sub_type(text)}_list "
    return f"struct rec_{text} *"


def field_kind(text):
    if text in SCALARS:
        return SCALARS[text][1]
    return "REC_LIST_STRUCT" if text.startswith("list<") else "REC_STRUCT"


def header(area, types):
    mine = [t for t in types.values() if t.area == area]
    guard = f"GT_STORE_RECORD_GEN_REC_{area.upper()}_H"
    out = [f"/* Made by tools/gen_records.py from schema/{area}.json. */", f"#ifndef {guard}",
           f"#define {guard}", "", '#include "store/record/record.h"']
    if area != "common":
        out.append('#include "store/record/gen/rec_common.h"')
    out.append("")
    for t in mine:
        out += [f"struct rec_{t.name};", f"struct rec_{t.name}_list {{",
                f"    struct rec_{t.name} *v;", "    size_t n;", "};"]
    for t in mine:
        out += ["", f"struct rec_{t.name} {{"]
        out += [f"    {c_type(f['type'])}{f['name']};" for f in t.fields]
        out.append("    struct gt_str unknown_; /* fields of a newer release, as they came */")
        if t.is_record:
            out.append("    uint32_t version_;      /* as decoded; 0: this release's */")
        out += ["};", f"extern const struct rec_desc rec_{t.name}_desc;"]
    out += ["", "#endif", ""]
    return "\n".join(out)


def descriptors(areas, types):
    out = ["/* Made by tools/gen_records.py. */"]
    out += [f'#include "rec_{a}.h"' for a in areas]
    out.append("#include <stddef.h>")
    for t in types.values():
        s = f"struct rec_{t.name}"
        if t.fields:
            out += ["", f"static const struct rec_field {t.name}_fields[] = {{"]
            for f in t.fields:
                sub = sub_type(f["type"])
                out.append(f"    {{{f['n']}, {field_kind(f['type'])}, offsetof({s}, {f['name']}), "
                           f"\"{f['name']}\", {f'&rec_{sub}_desc' if sub else 'NULL'}}},")
            out.append("};")
        out += ["", f"const struct rec_desc rec_{t.name}_desc = {{",
                f'    .name = "{t.name}", .id = {t.id}, .version = {t.version}, .size = sizeof({s}),']
        if t.is_record:
            out.append(f"    .version_offset = offsetof({s}, version_),")
        out.append(f"    .unknown_offset = offsetof({s}, unknown_),")
        if t.fields:
            out.append(f"    .fields = {t.name}_fields, .n_fields = {len(t.fields)},")
        out.append("};")
    out += ["", "const struct rec_desc *const rec_all[] = {"]
    out += [f"    &rec_{t.name}_desc," for t in types.values() if t.is_record]
    out += ["    NULL,", "};", ""]
    return "\n".join(out)


def write(path, text):
    if os.path.exists(path):
        with open(path) as f:
            if f.read() == text:
                return
    with open(path, "w") as f:
        f.write(text)


def main():
    out, paths = sys.argv[1], sys.argv[2:]
    types = load(paths)
    areas = sorted({os.path.basename(p)[: -len(".json")] for p in paths})
    for area in areas:
        write(os.path.join(out, f"rec_{area}.h"), header(area, types))
    write(os.path.join(out, "rec_gen.c"), descriptors(areas, types))


main()
