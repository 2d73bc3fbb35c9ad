"""A registry that does as it is told: images made in memory, and every fault one can think of."""

import gzip
import hashlib
import http.server
import io
import json
import ssl
import tarfile
import threading
import time

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def item(name, data=b"", type=tarfile.REGTYPE, **kw):
    """An entry of a layer; a str is text of a file, `link` the target of a link."""
    info = tarfile.TarInfo(name)
    if isinstance(data, str):
        data = data.encode()
    info.size, info.type, info.mtime, info.mode = len(data), type, 1700000000, 0o644
    if type == tarfile.DIRTYPE:
        info.mode = 0o755
    if "link" in kw:
        info.linkname = kw.pop("link")
        if type == tarfile.REGTYPE:
            info.type = tarfile.SYMTYPE
    for k, v in kw.items():
        setattr(info, k, v)
    return info, data


def tar(*items):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for info, data in items:
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Fault:
    """What happens to requests whose path contains `match`. Counts down `times`."""

    def __init__(self, match, times=1 << 30, status=None, cut=None, stall=None, data=None,
                 length=None, no_range=False, headers=(), trickle=None):
        self.match, self.times = match, times
        self.status, self.cut, self.stall, self.data = status, cut, stall, data
        self.length, self.no_range, self.headers = length, no_range, headers
        self.trickle = trickle  # seconds between two bytes


class Registry:
    """Serves on a loopback port from the moment it is made until close()."""

    def __init__(self, tls=None, auth=None, user=("user", "secret")):
        self.blobs, self.manifests = {}, {}
        self.faults, self.log = [], []
        self.auth, self.user = auth, user  # None, "basic" or "bearer"
        self.tokens, self.token_uses = set(), 1 << 30
        self.redirect = None  # address of another registry that has the blobs
        self.released = threading.Event()
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.handle(self)

            do_HEAD = do_GET

            def log_message(self, *a):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # a client that goes away is no news

        self.server = Server(("127.0.0.1", 0), Handler)
        self.tls = tls
        if tls:
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ctx.load_cert_chain(*tls)
            self.server.socket = ctx.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.host = "localhost:%d" % self.port
        self.url = "%s://%s" % ("https" if tls else "http", self.host)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    # ---- content ----

    def add_blob(self, data):
        self.blobs[digest(data)] = data
        return {"digest": digest(data), "size": len(data)}

    def add_layer(self, *items, packed="gzip", raw=None):
        plain = tar(*items) if raw is None else raw
        data, suffix = plain, ""
        if packed == "gzip":
            data, suffix = gzip.compress(plain, 1, mtime=0), "+gzip"
        elif packed == "zstd":
            import zstandard
            data, suffix = zstandard.ZstdCompressor().compress(plain), "+zstd"
        return dict(self.add_blob(data), mediaType=LAYER + suffix), digest(plain)

    def add_packed(self, data):
        """A layer of these very bytes."""
        return dict(self.add_blob(data), mediaType=LAYER + "+gzip")

    def add_manifest(self, repo, tag, doc, media=MANIFEST):
        data = json.dumps(doc).encode()
        d = digest(data)
        self.manifests[repo, d] = self.manifests[repo, tag] = (media, data)
        return {"digest": d, "size": len(data), "mediaType": media}

    def add_image(self, repo, layers, tag="1", config=None, diff_ids=None, platform=None):
        """`layers` come from add_layer. Returns the manifest's descriptor."""
        doc = {"os": "linux", "architecture": platform or "amd64", "config": config or {},
               "rootfs": {"type": "layers", "diff_ids": diff_ids or [d for _, d in layers]}}
        c = dict(self.add_blob(json.dumps(doc).encode()), mediaType=CONFIG)
        return self.add_manifest(repo, tag, {"schemaVersion": 2, "mediaType": MANIFEST,
                                             "config": c, "layers": [l for l, _ in layers]})

    # ---- protocol ----

    def asked(self, part):
        with self.lock:
            return [l for l in self.log if part in l["path"]]

    def fault_for(self, path):
        with self.lock:
            for f in self.faults:
                if f.match in path and f.times > 0:
                    f.times -= 1
                    return f
        return None

    def authorized(self, h):
        got = h.headers.get("Authorization", "")
        if self.auth == "basic":
            import base64
            return got == "Basic " + base64.b64encode(":".join(self.user).encode()).decode()
        if self.auth == "bearer":
            with self.lock:
                if got[7:] in self.tokens and self.token_uses > 0:
                    self.token_uses -= 1
                    return True
            return False
        return True

    def give_token(self, h):
        import base64
        want = "Basic " + base64.b64encode(":".join(self.user).encode()).decode()
        if h.headers.get("Authorization", "") != want:
            return self.answer(h, 401, b"{}")
        with self.lock:
            token = "token%d" % len(self.tokens)
            self.tokens = {token}
            self.token_uses = getattr(self, "token_life", 1 << 30)
        return self.answer(h, 200, json.dumps({"token": token, "expires_in": 60}).encode())

    def handle(self, h):
        with self.lock:
            self.log.append({"path": h.path, "range": h.headers.get("Range"),
                             "auth": h.headers.get("Authorization")})
        fault = self.fault_for(h.path)
        if h.path.startswith("/token") and not fault:
            return self.give_token(h)
        if fault and fault.status:
            return self.answer(h, fault.status, b'{"errors":[{"code":"UNKNOWN"}]}',
                               headers=fault.headers)
        if not self.authorized(h):
            challenge = 'Basic realm="fake"' if self.auth == "basic" else \
                'Bearer realm="%s/token",service="fake",scope="repository:x:pull"' % self.url
            return self.answer(h, 401, b'{"errors":[{"code":"UNAUTHORIZED"}]}',
                               headers=[("WWW-Authenticate", challenge)])
        parts = h.path.split("/")
        kind, name, repo = parts[-2], parts[-1], "/".join(parts[2:-2])
        if h.path == "/v2/":
            return self.answer(h, 200, b"{}")
        if kind == "manifests" and (repo, name) in self.manifests:
            media, data = self.manifests[repo, name]
            return self.answer(h, 200, fault.data if fault and fault.data else data, media)
        if kind == "blobs" and self.redirect:
            return self.answer(h, 307, b"", headers=[("Location", self.redirect + h.path)])
        if kind == "blobs" and name in self.blobs:
            return self.give_blob(h, self.blobs[name], fault)
        return self.answer(h, 404, b'{"errors":[{"code":"NOT_FOUND"}]}')

    def answer(self, h, status, data, media="application/json", headers=()):
        h.send_response(status)
        h.send_header("Content-Type", media)
        h.send_header("Content-Length", str(len(data)))
        for k, v in headers:
            h.send_header(k, v)
        h.end_headers()
        if h.command != "HEAD":
            h.wfile.write(data)

    def give_blob(self, h, data, fault):
        if fault and fault.data is not None:
            data = fault.data
        start, status = 0, 200
        wanted = h.headers.get("Range")
        if wanted and not (fault and fault.no_range):
            start, status = int(wanted[len("bytes="):].rstrip("-")), 206
        data = data[start:]
        h.send_response(status)
        h.send_header("Content-Length", str(fault.length if fault and fault.length else len(data)))
        h.end_headers()
        if fault and fault.trickle:
            for i in range(len(data)):
                h.wfile.write(data[i:i + 1])
                if self.released.wait(fault.trickle):
                    return None
        if not fault or (fault.cut is None and fault.stall is None):
            return h.wfile.write(data)
        at = fault.cut if fault.cut is not None else fault.stall
        h.wfile.write(data[:at])
        h.wfile.flush()
        if fault.stall is not None:
            self.released.wait(30)
            return h.wfile.write(data[at:])
        h.close_connection = True
        h.connection.shutdown(2)
