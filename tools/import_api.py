#!/usr/bin/python3
"""Import service models from an installed botocore into api/<service>.json (format: api/README.md).

    tools/import_api.py ecs ecr logs sts            # from Debian's python3-botocore
    tools/import_api.py --data DIR --to api ecs      # from another botocore's data directory

Only facts are taken: names, types, constraints, errors, bindings. No documentation.
"""
import argparse
import gzip
import json
import pathlib

SCALARS = {"string", "integer", "long", "boolean", "float", "double", "timestamp", "blob"}
TYPE_OF = {"character": "string", "short": "integer", "biginteger": "long", "bigdecimal": "double"}
CONSTRAINTS = ("min", "max", "pattern", "enum", "sensitive", "timestampFormat")


def newest(data, service, suffix):
    """Newer botocores compress their models."""
    found = sorted(data.glob(f"{service}/*/{suffix}*"))
    if not found:
        return None
    text = found[-1].read_bytes()
    return json.loads(gzip.decompress(text) if found[-1].suffix == ".gz" else text)


def shape_ref(model, name):
    """A scalar without constraints is named by its type; everything else by its shape."""
    shape = model["shapes"][name]
    kind = TYPE_OF.get(shape["type"], shape["type"])
    if kind in SCALARS and not any(c in shape for c in CONSTRAINTS):
        return kind
    return name


def member(model, name, m):
    """`"Shape"`, or an object when the member carries more than its shape."""
    out = {"shape": shape_ref(model, m["shape"])}
    target = model["shapes"][m["shape"]]
    if m.get("locationName", name) != name:
        out["name"] = m["locationName"]
    for key in ("queryName", "location", "timestampFormat"):
        if key in m:
            out[key] = m[key]
    for key in ("flattened", "idempotencyToken", "streaming", "xmlAttribute"):
        if m.get(key) or (key == "flattened" and target.get("flattened")):
            out[key] = True
    return out["shape"] if len(out) == 1 else out


def shape(model, name):
    s = model["shapes"][name]
    kind = TYPE_OF.get(s["type"], s["type"])
    out = {"type": kind}
    if kind == "structure":
        out["members"] = {n: member(model, n, m) for n, m in s["members"].items()}
        if s.get("required"):
            out["required"] = s["required"]
        for key in ("payload", "union", "eventstream"):
            if s.get(key):
                out[key] = s[key]
        if s.get("exception"):
            e = s.get("error", {})
            out["error"] = {"code": e.get("code", name),
                            "status": e.get("httpStatusCode", 500 if s.get("fault") else 400)}
            if s.get("fault"):
                out["error"]["fault"] = True
    elif kind == "list":
        out["of"] = shape_ref(model, s["member"]["shape"])
        if s["member"].get("locationName", "member") != "member":
            out["name"] = s["member"]["locationName"]
    elif kind == "map":
        out["key"] = shape_ref(model, s["key"]["shape"])
        out["of"] = shape_ref(model, s["value"]["shape"])
        for end, key in (("key", "keyName"), ("value", "ofName")):
            if "locationName" in s[end]:
                out[key] = s[end]["locationName"]
    for key in CONSTRAINTS:
        if key in s:
            out[key] = s[key]
    return out


def operation(op, pages):
    out = {}
    for key, to in (("input", "in"), ("output", "out")):
        if key in op:
            out[to] = op[key]["shape"]
            if key == "output" and "resultWrapper" in op[key]:
                out["wrapper"] = op[key]["resultWrapper"]
    http = op["http"]
    if http != {"method": "POST", "requestUri": "/"}:
        out["http"] = f'{http["method"]} {http["requestUri"]}'
        if "responseCode" in http:
            out["status"] = http["responseCode"]
    if op.get("errors"):
        out["errors"] = [e["shape"] for e in op["errors"]]
    if op.get("authtype") == "none":
        out["unsigned"] = True
    if op.get("endpoint"):
        out["host_prefix"] = op["endpoint"]["hostPrefix"]
    if pages:
        out["page"] = {k: pages[f] for k, f in (("in", "input_token"), ("out", "output_token"),
                                                ("limit", "limit_key"), ("items", "result_key"))
                       if f in pages}
    return out


def reachable(model):
    """Shapes that some operation or error needs, depth first, in a stable order."""
    seen, order = set(), []

    def visit(name):
        if name in seen:
            return
        seen.add(name)
        s = model["shapes"][name]
        for m in s.get("members", {}).values():
            visit(m["shape"])
        for key in ("member", "key", "value"):
            if key in s:
                visit(s[key]["shape"])
        if shape_ref(model, name) == name:
            order.append(name)

    for op in model["operations"].values():
        for key in ("input", "output"):
            if key in op:
                visit(op[key]["shape"])
        for e in op.get("errors", []):
            visit(e["shape"])
    return sorted(order)


def import_service(data, service):
    model = newest(data, service, "service-2.json")
    pages = (newest(data, service, "paginators-1.json") or {}).get("pagination", {})
    meta = model["metadata"]
    api = {"service": service, "id": meta["serviceId"], "version": meta["apiVersion"],
           "protocol": meta["protocol"],
           "signing": meta.get("signingName", meta["endpointPrefix"])}
    for key, to in (("jsonVersion", "json"), ("targetPrefix", "target"),
                    ("xmlNamespace", "xmlns")):
        if key in meta:
            value = meta[key]
            api[to] = value["uri"] if isinstance(value, dict) else value
    api["operations"] = {n: operation(op, pages.get(n)) for n, op in model["operations"].items()}
    api["shapes"] = {n: shape(model, n) for n in reachable(model)}
    return api


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def dump(api):
    """One line for each operation and shape: small, and a re-import gives a readable diff."""
    lines = []
    for key, value in api.items():
        if isinstance(value, dict):
            body = ",\n".join(f"  {compact(n)}: {compact(v)}" for n, v in value.items())
            lines.append(f" {compact(key)}: {{\n{body}\n }}")
        else:
            lines.append(f" {compact(key)}: {compact(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=pathlib.Path,
                   default="/usr/lib/python3/dist-packages/botocore/data")
    p.add_argument("--to", type=pathlib.Path,
                   default=pathlib.Path(__file__).resolve().parent.parent / "api")
    p.add_argument("services", nargs="+")
    a = p.parse_args()
    for service in a.services:
        (a.to / f"{service}.json").write_text(dump(import_service(a.data, service)))


if __name__ == "__main__":
    main()
