#!/usr/bin/python3
"""Generate C from api/<service>.json (format: api/README.md). Used by the build:

    gen_api.py wire api/ecs.json OUT.h OUT.c        structs and descriptors for lib/wire
    gen_api.py handlers api/ecs.json OUT.h OUT.c    prototypes and table for control/services
"""
import json
import pathlib
import re
import sys

SCALARS = ("string", "blob", "integer", "long", "timestamp", "boolean", "double")
ALIAS = {"float": "double"}
KEYWORDS = set("""auto break case char const continue default do double else enum extern float for
goto if inline int long register restrict return short signed sizeof static struct switch typedef
union unsigned void volatile while asm typeof""".split())
C_SCALAR = {"integer": "int64_t", "long": "int64_t", "timestamp": "int64_t", "boolean": "bool",
            "double": "double"}
LOCATIONS = {"uri": "URI", "querystring": "QUERY", "header": "HEADER", "headers": "HEADERS",
             "statusCode": "STATUS"}
TIMES = {"unixTimestamp": "UNIX", "iso8601": "ISO8601", "rfc822": "RFC822"}
PROTOCOLS = {"json": "JSON", "query": "QUERY", "rest-json": "REST_JSON", "rest-xml": "REST_XML",
             "ec2": "EC2"}


def snake(name):
    """taskARN -> task_arn, imageURI -> image_uri, loadBalancerARNs -> load_balancer_arns."""
    name = name.replace("FSx", "Fsx").replace("IPv", "Ipv")
    name = re.sub(r"([A-Z])([A-Z]+)s(?=[A-Z]|$)", lambda m: m[1] + m[2].lower() + "s", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"[^a-z0-9]+", "_", name.lower())


def c_name(name):
    name = snake(name)
    return name + "_" if name in KEYWORDS else name


def c_str(value):
    """A C literal, or NULL."""
    if value is None:
        return "NULL"
    out = []
    for byte in value.encode():
        ch = chr(byte)
        if ch in '"\\':
            out.append("\\" + ch)
        elif ch == "?" or not 32 <= byte < 127:
            out.append(f"\\{byte:03o}")
        else:
            out.append(ch)
    return '"' + "".join(out) + '"'


def load(path):
    """The model with its overlay and the list of what is implemented."""
    path = pathlib.Path(path)
    api = json.loads(path.read_text())

    def beside(kind):
        p = path.with_name(f"{path.stem}.{kind}.json")
        return json.loads(p.read_text()) if p.exists() else {}

    overlay = beside("overlay")
    for part in ("operations", "shapes"):
        for name, patch in overlay.get(part, {}).items():
            own = api[part].setdefault(name, {})
            members = {**own.get("members", {}), **patch.get("members", {})}
            own.update(patch)
            if members:
                own["members"] = members
    api["overlay"] = overlay
    api["gantry"] = {op: {"plane": v} if isinstance(v, str) else v
                     for op, v in beside("gantry").items()}
    unknown = set(api["gantry"]) - set(api["operations"])
    if unknown:
        sys.exit(f"{path.stem}.gantry.json: not in the model: {', '.join(sorted(unknown))}")
    return api


class Model:
    """A service's shapes as C sees them."""

    def __init__(self, api):
        self.api, self.shapes = api, api["shapes"]
        self.svc = api["service"].replace("-", "_")
        self.empty = {"type": "structure", "members": {}}
        self.nested = self.reachable()
        self.collections = {}  # C name -> declaration lines
        self.pairs = {}

    def kind(self, name):
        name = ALIAS.get(name, name)
        if name in SCALARS:
            return name
        if name not in self.shapes:
            sys.exit(f"{self.svc}: no such shape: {name}")
        return ALIAS.get(self.shapes[name]["type"], self.shapes[name]["type"])

    @staticmethod
    def target(member):
        return member if isinstance(member, str) else member["shape"]

    def reachable(self):
        """Shapes below the inputs and outputs (which are named after their operation)."""
        seen = {}

        def visit(name):
            name = ALIAS.get(name, name)
            if name in seen or name in SCALARS:
                return
            self.kind(name)
            seen[name] = True
            children(name)

        def children(name):
            s = self.shapes[name]
            for m in s.get("members", {}).values():
                visit(self.target(m))
            for key in ("key", "of"):
                if key in s:
                    visit(s[key])

        for op in self.api["operations"].values():
            for key in ("in", "out"):
                if key in op:
                    children(op[key])
        for name in self.api.get("documents", []):
            visit(name)
        return sorted(seen)

    def struct(self, name):
        return f"{self.svc}_{snake(name)}"

    def c_type(self, name):
        """The C type of a value where it lies inline (list element, map value)."""
        kind = self.kind(name)
        if kind in ("string", "blob"):
            return "struct gt_str"
        if kind in C_SCALAR:
            return C_SCALAR[kind]
        if kind == "structure":
            return "struct " + self.struct(name)
        of = self.shapes[name]["of"]
        suffix = "list" if kind == "list" else "map"
        builtin = {"struct gt_str": "str", "int64_t": "int", "double": "double", "bool": "bool"}
        elem = self.c_type(of)
        if elem in builtin and (kind == "list" or builtin[elem] in ("str", "int")):
            return f"struct wire_{builtin[elem]}_{suffix}"
        base = elem.removeprefix("struct ")
        if not base.startswith(self.svc + "_"):
            base = f"{self.svc}_{base.removeprefix('wire_')}"
        c = f"{base}_{suffix}"
        pointee = elem if kind == "list" else f"struct {base}_pair"
        self.collections[c] = f"struct {c} {{\n    {pointee} *v;\n    size_t n;\n    bool has;\n}};"
        if kind == "map":
            self.pairs[f"{base}_pair"] = \
                f"struct {base}_pair {{\n    struct gt_str key;\n    {elem} value;\n}};"
        return "struct " + c

    def fields(self, shape):
        lines = []
        for name, m in shape["members"].items():
            target, c = self.target(m), c_name(name)
            kind = self.kind(target)
            star = "*" if kind == "structure" else ""
            lines.append(f"    {self.c_type(target)} {star}{c};")
            if kind in C_SCALAR:
                lines.append(f"    bool has_{c};")
        return lines or ["    char empty_;"]

    def structs(self):
        """(C name, shape, the name to show) of every structure, in a stable order."""
        for name in self.nested:
            if self.kind(name) == "structure":
                yield self.struct(name), self.shapes[name], name
        for op, facts in self.api["operations"].items():
            for way in ("in", "out"):
                shape = self.shapes[facts[way]] if way in facts else self.empty
                yield f"{self.svc}_{snake(op)}_{way}", shape, facts.get(way)

    def descriptor(self, name):
        name = ALIAS.get(name, name)
        return f"wire_{name}_shape" if name in SCALARS else self.struct(name) + "_shape"

    def enum_macros(self):
        for name in self.nested:
            for value in self.shapes[name].get("enum", []):
                word = re.sub(r"[^A-Za-z0-9]+", "_", value)
                if not (word.isupper() or word.islower() or word.isdigit()):
                    word = snake(word)
                macro = f"{self.struct(name)}_{word}".upper()
                yield macro, value


def header(model):
    svc = model.svc
    guard = f"GT_LIB_WIRE_GEN_{svc.upper()}_H"
    structs = list(model.structs())
    bodies = [f"struct {c} {{\n" + "\n".join(model.fields(s)) + "\n};" for c, s, _ in structs]
    for name in model.nested:  # collections that only a descriptor names
        model.c_type(name)
    clash = set(model.collections) & {c for c, _, _ in structs}
    if clash:
        sys.exit(f"{svc}: a list and a structure would share a name: {clash}")
    out = [f"/* Generated by tools/gen_api.py from api/{model.api['service']}.json. */",
           f"#ifndef {guard}", f"#define {guard}", "", '#include "lib/wire/wire.h"', ""]
    out += [f"#define {m} {c_str(v)}" for m, v in dict(model.enum_macros()).items()] + [""]
    out += [f"struct {c};" for c, _, _ in structs] + [f"struct {p};" for p in model.pairs] + [""]
    out += [f"struct {c};" for c in model.collections]
    out += model.collections.values()
    out += [""] + bodies + list(model.pairs.values()) + [""]
    out += [f"extern const struct wire_shape {c}_shape;" for c, _, _ in structs]
    out += [f"extern const struct wire_shape {model.descriptor(n)};" for n in model.nested
            if model.kind(n) != "structure"]
    out += [f"extern const struct wire_op {svc}_op_{snake(op)};" for op in model.api["operations"]]
    out += [f"extern const struct wire_service {svc}_service_model;", "", "#endif", ""]
    return "\n".join(out)


def member_row(model, c, name, m, required):
    facts = {"shape": m} if isinstance(m, str) else m
    field, wire = c_name(name), facts.get("name", name)
    rows = [f".name = {c_str(name)}", f".wire = {c_str(wire)}", f".wire_len = {len(wire)}",
            f".query = {c_str(facts.get('queryName'))}",
            f".shape = &{model.descriptor(facts['shape'])}",
            f".offset = offsetof(struct {c}, {field})"]
    if model.kind(facts["shape"]) in C_SCALAR:
        rows.append(f".has_offset = offsetof(struct {c}, has_{field})")
    if name in required:
        rows.append(".required = true")
    if "location" in facts:
        rows.append(f".location = WIRE_IN_{LOCATIONS[facts['location']]}")
    target = model.shapes.get(facts["shape"], {})
    time = facts.get("timestampFormat") or target.get("timestampFormat")
    if time:
        rows.append(f".time_format = WIRE_TIME_{TIMES[time]}")
    for key, to in (("flattened", "flattened"), ("idempotencyToken", "idempotency_token")):
        if facts.get(key):
            rows.append(f".{to} = true")
    return "    {" + ", ".join(rows) + "},"


def constraints(c, shape, pre):
    """Rows of a descriptor for min, max, pattern, enum; what they point to goes into `pre`."""
    rows, flags = [], []
    for key in ("min", "max"):
        if key in shape:
            flags.append(f"WIRE_HAS_{key.upper()}")
            rows.append(f".{key} = {int(shape[key])}")
    if shape.get("sensitive"):
        flags.append("WIRE_SENSITIVE")
    if shape.get("nul"):
        flags.append("WIRE_ALLOW_NUL")
    if flags:
        rows.append(f".flags = {' | '.join(flags)}")
    if "enum" in shape:
        values = ", ".join(c_str(v) for v in shape["enum"])
        pre.append(f"static const char *const {c}_enum[] = {{{values}, NULL}};")
        rows.append(f".enums = {c}_enum")
    if "pattern" in shape:
        pre.append(f"static struct wire_pattern {c}_pattern = {{.text = {c_str(shape['pattern'])}}};")
        rows.append(f".pattern = &{c}_pattern")
    return rows


def shape_tables(model):
    out = []
    for c, s, shown in model.structs():
        rows = [member_row(model, c, n, m, s.get("required", ())) for n, m in s["members"].items()]
        if rows:
            out.append(f"static const struct wire_member {c}_members[] = {{\n" + "\n".join(rows)
                       + "\n};")
        out.append(f"const struct wire_shape {c}_shape = {{.name = {c_str(shown)}, "
                   f".type = WIRE_STRUCTURE, .size = sizeof(struct {c}), "
                   f".members = {c + '_members' if rows else 'NULL'}, .n_members = {len(rows)}}};")
    for name in model.nested:
        s, kind, c = model.shapes[name], model.kind(name), model.struct(name)
        if kind == "structure":
            continue
        pre, c_type = [], model.c_type(name)
        rows = [f".name = {c_str(name)}", f".type = WIRE_{kind.upper()}",
                f".size = sizeof({c_type})"] + constraints(c, s, pre)
        if kind in ("list", "map"):
            rows.append(f".of = &{model.descriptor(s['of'])}")
            rows.append(f".elem_size = sizeof(*(({c_type} *)0)->v)")
            rows.append(f".elem_name = {c_str(s.get('name'))}")
        if kind == "map":
            rows.append(f".key = &{model.descriptor(s['key'])}")
            rows.append(f".value_offset = offsetof(__typeof__(*(({c_type} *)0)->v), value)")
        out += pre + [f"const struct wire_shape {c}_shape = {{{', '.join(rows)}}};"]
    return out


def op_table(model, index, op, facts):
    svc, c = model.svc, f"{model.svc}_{snake(op)}"
    errors = [f"&{svc}_errors[{svc}_err_{snake(e)}]" for e in facts.get("errors", [])]
    method, uri = facts.get("http", "POST /").split(" ", 1)
    rows = [f".name = {c_str(op)}", f".service = &{svc}_service_model", f".in = &{c}_in_shape",
            f".out = &{c}_out_shape", f".method = {c_str(method)}", f".uri = {c_str(uri)}",
            f".status = {facts.get('status', 200)}", f".index = {index}",
            f".wrapper = {c_str(facts.get('wrapper'))}", f".errors = {c}_errors"]
    if facts.get("unsigned"):
        rows.append(".unsigned_ok = true")
    page = {k: v if isinstance(v, str) else v[0] for k, v in facts.get("page", {}).items()}
    if page:
        rows.append(".page = {" + ", ".join(f".{k} = {c_str(v)}" for k, v in page.items()) + "}")
    return [f"static const struct wire_error *const {c}_errors[] = "
            f"{{{', '.join(errors + ['NULL'])}}};",
            f"const struct wire_op {svc}_op_{snake(op)} = {{{', '.join(rows)}}};"]


def service_table(model):
    api, svc, overlay = model.api, model.svc, model.api["overlay"]
    errors = {n: s["error"] for n, s in model.shapes.items() if "error" in s}
    out = []
    if errors:
        out.append("enum { " + ", ".join(f"{svc}_err_{snake(n)}" for n in errors) + " };")
    rows = [f"    {{.shape = {c_str(n)}, .code = {c_str(e['code'])}, .status = {e['status']}, "
            f".fault = {'true' if e.get('fault') else 'false'}}}," for n, e in errors.items()]
    out.append(f"static const struct wire_error {svc}_errors[] = {{\n"
               + "\n".join(rows or ["    {0},"]) + "\n};")
    for i, (op, facts) in enumerate(api["operations"].items()):
        out += op_table(model, i, op, facts)
    ops = ", ".join(f"&{svc}_op_{snake(op)}" for op in api["operations"])
    validation = overlay.get("validation", {})
    rows = [f".name = {c_str(api['service'])}", f".id = {c_str(api.get('id', api['service']))}",
            f".version = {c_str(api.get('version'))}",
            f".protocol = WIRE_{PROTOCOLS[api['protocol']]}",
            f".json_version = {c_str(api.get('json'))}",
            f".target_prefix = {c_str(api.get('target'))}", f".signing = {c_str(api['signing'])}",
            f".xmlns = {c_str(api.get('xmlns'))}", f".ops = {svc}_all_ops",
            f".n_ops = {len(api['operations'])}", f".errors = {svc}_errors",
            f".n_errors = {len(errors)}",
            f".validation_code = {c_str(validation.get('code', 'ValidationException'))}",
            f".unsupported_code = {c_str(overlay.get('unsupported', 'UnsupportedOperationException'))}",
            f".style = WIRE_STYLE_{validation.get('style', 'coral').upper()}"]
    out.append(f"static const struct wire_op *const {svc}_all_ops[] = {{{ops}}};")
    out.append(f"const struct wire_service {svc}_service_model = {{{', '.join(rows)}}};")
    return out


def source(model):
    head = [f"/* Generated by tools/gen_api.py from api/{model.api['service']}.json. */",
            f'#include "lib/wire/gen/{model.svc}.h"', ""]
    return "\n".join(head + shape_tables(model) + service_table(model) + [""])


def handlers_header(model):
    svc, guard = model.svc, f"GT_CONTROL_SERVICES_GEN_{model.svc.upper()}_HANDLERS_H"
    first = {"core": "struct tx *tx", "data": "struct data_req *rq"}
    out = [f"/* Generated by tools/gen_api.py: what api/{model.api['service']}.gantry.json says is"
           " implemented. */",
           f"#ifndef {guard}", f"#define {guard}", "", '#include "control/core/data.h"',
           '#include "control/core/service.h"', f'#include "lib/wire/gen/{svc}.h"', ""]
    for op, has in model.api["gantry"].items():
        c = f"{svc}_{snake(op)}"
        out.append(f"int {c}({first[has['plane']]}, const struct {c}_in *in, struct {c}_out *out, "
                   "struct gt_err *err);")
    out += ["", f"extern const struct service_op {svc}_ops[]; /* in the order of the model */",
            f"extern const size_t n_{svc}_ops;", "", "#endif", ""]
    return "\n".join(out)


def implemented(model, op):
    """The members of a struct service_op beside its model."""
    has = model.api["gantry"].get(op)
    if not has:
        return ""
    out = f", .{has['plane']} = call_{model.svc}_{snake(op)}"
    if "resource" in has:
        out += f", .resource = {c_str(has['resource'])}"
    return out + (", .unrestricted = true" if has.get("unrestricted") else "")


def handlers_source(model):
    svc = model.svc
    first = {"core": ("struct tx *tx", "tx"), "data": ("struct data_req *rq", "rq")}
    out = ["/* Generated by tools/gen_api.py. */",
           f'#include "control/services/gen/{svc}_handlers.h"', ""]
    for op, has in model.api["gantry"].items():
        c, (decl, arg) = f"{svc}_{snake(op)}", first[has["plane"]]
        out.append(f"static int call_{c}({decl}, const void *in, void *out, struct gt_err *err)\n"
                   f"{{\n    return {c}({arg}, in, out, err);\n}}\n")
    rows = []
    for op in model.api["operations"]:
        rows.append(f"    {{.op = &{svc}_op_{snake(op)}{implemented(model, op)}}},")
    out += [f"const struct service_op {svc}_ops[] = {{"] + rows + ["};",
            f"const size_t n_{svc}_ops = sizeof({svc}_ops) / sizeof({svc}_ops[0]);", ""]
    return "\n".join(out)


def main():
    mode, path, h, c = sys.argv[1:]
    model = Model(load(path))
    make = {"wire": (header, source), "handlers": (handlers_header, handlers_source)}[mode]
    for target, fn in zip((h, c), make):
        pathlib.Path(target).write_text(fn(model))


if __name__ == "__main__":
    main()
