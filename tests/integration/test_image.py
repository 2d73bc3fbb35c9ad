"""The node's image store against registries, honest and not: the real store (tests/tools/image_pull)
and the real sandboxed worker."""

import concurrent.futures
import gzip
import json
import os
import signal
import subprocess
import tarfile
import time

import pytest

import fake_registry
from fake_registry import Fault, INDEX, Registry, digest, item, tar

BUILD = os.environ.get("GANTRY_BUILD") or os.path.join(os.path.dirname(__file__), "../../build")
TOOL = os.path.join(BUILD, "tests/tools/image_pull")
WORKER = os.path.join(BUILD, "src/cmd/gantry-unpack")
DIR, SYM, HARD, CHR, BLK = (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE,
                            tarfile.BLKTYPE)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="lays down files of other owners")


class Store:
    def __init__(self, path):
        self.path = str(path)

    def argv(self, *args, options=()):
        return [TOOL, "-d", self.path, "-w", WORKER, "-r", "3", *options, *args]

    def run(self, *args, options=(), timeout=120):
        p = subprocess.run(self.argv(*args, options=options), stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=timeout)
        assert p.returncode in (0, 1), p.stderr
        assert "Sanitizer" not in p.stderr, p.stderr
        return [json.loads(l) for l in p.stdout.splitlines()]

    def pull(self, *refs, options=()):
        out = self.run("pull", *refs, options=options)
        for o in out:
            assert "error" not in o, o
        return out[0] if len(refs) == 1 else out

    def refused(self, ref, *words, options=()):
        out = self.run("pull", ref, options=options)[0]
        assert out.get("error", "").startswith("CannotPullContainerError: "), out
        for w in words:
            assert w in out["error"], out
        assert self.leftovers() == []
        return out["error"]

    def leftovers(self):
        return os.listdir(self.path + "/tmp") + os.listdir(self.path + "/refs")


@pytest.fixture
def store(tmp_path):
    s = Store(tmp_path / "store")
    yield s


@pytest.fixture
def registry():
    r = Registry()
    yield r
    r.close()


def read(image, layer, path):
    with open(os.path.join(image["layers"][layer], path)) as f:
        return f.read()


# ---- what works ----

@pytest.mark.parametrize("packed", ["gzip", "zstd", "plain"])
def test_pull(store, registry, packed):
    layers = [registry.add_layer(item("etc/os", "one"), item("bin/su", "x", mode=0o4755),
                                 packed=packed),
              registry.add_layer(item("etc/os", "two"), item("home/f", "y", uid=1000, gid=1001),
                                 packed=packed)]
    m = registry.add_image("team/app", layers, config={
        "Entrypoint": ["/bin/app"], "Cmd": ["-v"], "Env": ["A=b"], "User": "1000:1001",
        "WorkingDir": "/srv", "StopSignal": "SIGINT", "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/data": {}}})
    im = store.pull(registry.host + "/team/app:1")
    assert im["digest"] == im["manifest"] == m["digest"]
    assert (im["entrypoint"], im["cmd"], im["env"]) == (["/bin/app"], ["-v"], ["A=b"])
    assert (im["user"], im["workdir"], im["stopSignal"]) == ("1000:1001", "/srv", "SIGINT")
    assert (im["ports"], im["volumes"]) == (["80/tcp"], ["/data"])
    assert read(im, 0, "etc/os") == "two" and read(im, 1, "etc/os") == "one"
    st = os.stat(im["layers"][0] + "/home/f")
    assert (st.st_uid, st.st_gid, st.st_mtime) == (1000, 1001, 1700000000)
    assert os.stat(im["layers"][1] + "/bin/su").st_mode & 0o7777 == 0o4755
    assert os.stat(store.path).st_mode & 0o777 == 0o700
    asked = len(registry.log)
    for ref in (registry.host + "/team/app:1", "%s/team/app@%s" % (registry.host, m["digest"])):
        assert store.pull(ref)["layers"] == im["layers"]
    assert len(registry.log) == asked  # it is here: nobody is asked
    assert store.run("find", m["digest"])[0]["name"] == registry.host + "/team/app:1"


def test_a_moved_tag_is_seen_when_asked_for(store, registry):
    a = registry.add_image("app", [registry.add_layer(item("f", "a"))])
    store.pull(registry.host + "/app:1")
    b = registry.add_image("app", [registry.add_layer(item("f", "b"))])
    assert store.pull(registry.host + "/app:1")["digest"] == a["digest"]
    assert store.pull(registry.host + "/app:1", options=["-a"])["digest"] == b["digest"]
    assert len(store.run("list")) == 1


def test_index_gives_the_platform(store, registry):
    here = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    entries = []
    for arch in ("s390x", here, "riscv64"):
        m = registry.add_image("multi", [registry.add_layer(item("arch", arch))], tag=arch,
                               platform=arch)
        entries.append(dict(m, platform={"os": "linux", "architecture": arch}))
    i = registry.add_manifest("multi", "1", {"schemaVersion": 2, "mediaType": INDEX,
                                             "manifests": entries}, INDEX)
    im = store.pull(registry.host + "/multi:1")
    assert read(im, 0, "arch") == here
    assert im["digest"] == i["digest"] and im["manifest"] == entries[1]["digest"]
    registry.add_manifest("multi", "2", {"schemaVersion": 2, "mediaType": INDEX,
                                         "manifests": [entries[0]]}, INDEX)
    out = store.run("pull", registry.host + "/multi:2")[0]
    assert "matching platform 'linux/" in out["error"]
    bare = {k: v for k, v in entries[1].items() if k != "platform"}
    registry.add_manifest("multi", "3", {"schemaVersion": 2, "mediaType": INDEX,
                                         "manifests": [entries[0], bare]}, INDEX)
    assert store.pull(registry.host + "/multi:3")["manifest"] == bare["digest"]


def test_whiteouts_on_overlayfs(store, registry, tmp_path):
    layers = [registry.add_layer(item("keep", "k"), item("gone", "g"), item("dir/a", "a"),
                                 item("dir/b", "b"), item("old/x", "x"), item("back/x", "x")),
              registry.add_layer(item(".wh.gone"), item("dir/.wh.a"), item("dir/c", "c"),
                                 item("old/.wh..wh..opq"), item("old/y", "y"), item(".wh.back"),
                                 item("back", type=DIR), item("back/y", "y"))]
    registry.add_image("app", layers)
    im = store.pull(registry.host + "/app:1")
    at = tmp_path / "mnt"
    at.mkdir()
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                    "ro,lowerdir=" + ":".join(im["layers"]), at], check=True)
    try:
        seen = sorted(os.path.relpath(os.path.join(d, f), at)
                      for d, _, files in os.walk(at) for f in files)
    finally:
        subprocess.run(["umount", at], check=True)
    assert seen == ["back/y", "dir/b", "dir/c", "keep", "old/y"]


def test_layers_are_shared_and_fetched_once(store, registry):
    base = registry.add_layer(item("base", os.urandom(3_000_000)))
    refs = []
    for i in range(6):
        registry.add_image("app%d" % (i % 3), [base, registry.add_layer(item("own", str(i % 3)))])
        refs.append("%s/app%d:1" % (registry.host, i % 3))
    images = store.pull(*refs)
    assert len({im["layers"][1] for im in images}) == 1
    assert len(registry.asked(base[0]["digest"])) == 1
    assert len([n for n in os.listdir(store.path + "/layers") if "." not in n]) == 4
    # Deleting one image keeps what others stand on.
    store.run("remove", refs[0])
    assert len([n for n in os.listdir(store.path + "/layers") if "." not in n]) == 3
    for r in refs[1:3]:
        store.run("remove", r)
    assert os.listdir(store.path + "/layers") == [] and os.listdir(store.path + "/images") == []
    assert store.leftovers() == []


def test_one_layer_twice_in_one_image(store, registry):
    one, two = registry.add_layer(item("a", "a")), registry.add_layer(item("b", "b"))
    registry.add_image("app", [one, two, one])
    im = store.pull(registry.host + "/app:1")
    assert im["layers"][0] == im["layers"][2]


def test_a_diff_id_of_another_image_must_be_proven(store, registry):
    """Who knows the diff id of a layer does not get it by naming it."""
    secret = registry.add_layer(item("secret", "s"))
    registry.add_image("private", [secret])
    store.pull(registry.host + "/private:1")
    other = registry.add_layer(item("other", "o"))
    registry.add_image("thief", [other], diff_ids=[secret[1]])
    out = store.run("pull", registry.host + "/thief:1")[0]
    assert "diff id" in out["error"]
    # The same content, packed otherwise, is proven and then shared.
    again = registry.add_layer(item("secret", "s"), packed="plain")
    assert again[1] == secret[1]
    registry.add_image("again", [again])
    store.pull(registry.host + "/again:1")
    assert len([n for n in os.listdir(store.path + "/layers") if "." not in n]) == 1


def test_local_blobs_are_not_fetched(store, registry, tmp_path):
    layer = registry.add_layer(item("f", "local"))
    bad = registry.add_layer(item("g", "not so"))
    registry.add_image("app", [layer])
    registry.add_image("bad", [layer, bad])
    blobs = tmp_path / "blobs"
    for d, data in list(registry.blobs.items()):
        p = blobs / "sha256" / d[7:9] / d[7:]
        p.parent.mkdir(parents=True, exist_ok=True)
        if d == bad[0]["digest"]:
            data = data[:-9] + b"x" + data[-8:]
        p.write_bytes(data)
    local = ["-l", str(blobs)]
    im = store.pull(registry.host + "/app:1", options=local)
    assert read(im, 0, "f") == "local"
    assert registry.asked("/blobs/") == []
    out = store.run("pull", registry.host + "/bad:1", options=local)[0]
    assert "unexpected commit digest" in out["error"], out


# ---- registries with doors ----

def test_bearer_tokens(store):
    r = Registry(auth="bearer")
    try:
        r.token_life = 4  # the fifth use needs a new one, in the middle of the pull
        r.add_image("team/app", [r.add_layer(item("f%d" % i, "x")) for i in range(5)])
        ref = r.host + "/team/app:1"
        store.refused(ref, "pull access denied for %s/team/app" % r.host)
        store.refused(ref, "pull access denied", options=["-u", "user:wrong"])
        store.pull(ref, options=["-u", "user:secret"])
        asked = r.asked("/token")[-1]["path"]
        assert "scope=repository%3Ateam%2Fapp%3Apull" in asked and "service=fake" in asked
    finally:
        r.close()


def test_basic_authentication(store):
    r = Registry(auth="basic")
    try:
        r.add_image("app", [r.add_layer(item("f", "x"))])
        store.refused(r.host + "/app:1", "pull access denied", "no basic auth credentials")
        store.refused(r.host + "/app:1", "credentials are refused", options=["-u", "user:wrong"])
        store.pull(r.host + "/app:1", options=["-u", "user:secret"])
    finally:
        r.close()


def test_asking_again_takes_one_exchange(store):
    r = Registry(auth="bearer")
    try:
        r.add_image("app", [r.add_layer(item("f", "x"))])
        options = ["-u", "user:secret", "-a", "-n", "6"]
        store.pull(r.host + "/app:1", options=options + ["-k", "node"])
        assert len(r.asked("/token")) == 1 and len(r.asked("/blobs/")) == 2
        assert len(r.asked("/manifests/")) == 7  # the first was refused
        del r.log[:]
        store.run("remove", r.host + "/app:1")
        store.pull(r.host + "/app:1", options=options)  # without a principal nothing is kept
        assert len(r.asked("/token")) == 6
    finally:
        r.close()


def test_a_grant_that_ran_out_is_renewed(store):
    for auth in ("bearer", "basic"):
        r = Registry(auth=auth)
        try:
            r.token_life = 4
            r.add_image("app", [r.add_layer(item("f", auth))])
            store.pull(r.host + "/app:1", options=["-u", "user:secret", "-a", "-n", "9", "-k", "n"])
        finally:
            r.close()


def test_redirects_do_not_carry_credentials(store):
    cdn, r = Registry(), Registry(auth="basic")
    try:
        r.add_image("app", [r.add_layer(item("f", "x"))])
        cdn.blobs = r.blobs
        r.redirect = cdn.url
        store.pull(r.host + "/app:1", options=["-u", "user:secret"])
        assert len(cdn.log) == 2 and all(l["auth"] is None for l in cdn.log)
    finally:
        cdn.close()
        r.close()


def test_tls(store, tmp_path):
    key, crt = str(tmp_path / "key.pem"), str(tmp_path / "crt.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                    "-out", crt, "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost"], check=True, stderr=subprocess.DEVNULL)
    r = Registry(tls=(crt, key))
    try:
        r.add_image("app", [r.add_layer(item("f", "x"))])
        store.refused(r.host + "/app:1", "certificate")
        store.pull(r.host + "/app:1", options=["-c", crt])
    finally:
        r.close()


# ---- connections that break ----

def test_a_broken_blob_goes_on_where_it_stopped(store, registry):
    data = os.urandom(2_000_000)
    layer = registry.add_layer(item("f", data))
    registry.add_image("app", [layer])
    registry.faults.append(Fault(layer[0]["digest"], times=5, cut=300_000))
    im = store.pull(registry.host + "/app:1")
    with open(im["layers"][0] + "/f", "rb") as f:
        assert f.read() == data
    ranges = [l["range"] for l in registry.asked(layer[0]["digest"])]
    assert ranges[0] is None and "bytes=300000-" in ranges and len(ranges) == 6


def test_a_registry_without_ranges(store, registry):
    data = os.urandom(1_000_000)
    layer = registry.add_layer(item("f", data))
    registry.add_image("app", [layer])
    registry.faults += [Fault(layer[0]["digest"], times=1, cut=300_000),
                        Fault(layer[0]["digest"], no_range=True)]
    im = store.pull(registry.host + "/app:1")
    with open(im["layers"][0] + "/f", "rb") as f:
        assert f.read() == data


def test_trouble_that_passes(store, registry):
    registry.add_image("app", [registry.add_layer(item("f", "x"))])
    registry.faults += [Fault("/manifests/", times=2, status=503),
                        Fault("/blobs/", times=1, status=429, headers=[("Retry-After", "1")])]
    store.pull(registry.host + "/app:1")


def test_trouble_at_the_token_service_that_passes(store):
    r = Registry(auth="bearer")
    try:
        r.add_image("app", [r.add_layer(item("f", "x"))])
        for status in (503, 429):
            r.faults = [Fault("/token", times=2, status=status)]
            store.pull(r.host + "/app:1", options=["-u", "user:secret", "-a"])
            assert len(r.asked("/token")) == 3
            del r.log[:]
        r.faults = [Fault("/token", status=503)]
        out = store.run("pull", r.host + "/app:1", options=["-u", "user:secret", "-a"])[0]
        assert "answers 503" in out["error"] and len(r.asked("/token")) == 4
    finally:
        r.close()


def test_a_registry_that_trickles(store, registry):
    """A byte now and then is no progress."""
    layer = registry.add_layer(item("f", os.urandom(100_000)))
    registry.add_image("app", [layer])
    registry.faults = [Fault(layer[0]["digest"], trickle=0.2)]
    began = time.monotonic()
    store.refused(registry.host + "/app:1", "too slow", options=["-r", "1", "-t", "3000"])
    assert 3 < time.monotonic() - began < 40


# ---- what is refused, and with which words ----

def test_names_that_lead_nowhere(store, registry):
    registry.add_image("app", [registry.add_layer(item("f", "x"))])
    store.refused(registry.host + "/none:1", "failed to resolve ref", "not found")
    store.refused(registry.host + "/app:2", "failed to resolve ref", ":2", "not found")
    store.refused(registry.host + "/app@sha256:" + "0" * 64, "not found")
    store.refused("localhost:1/app:1", "connect")
    store.refused(registry.host + "/UPPER:1")
    registry.faults.append(Fault("/blobs/", status=404))
    store.refused(registry.host + "/app:1", "not found")


def test_lies_of_a_registry(store, registry):
    layer = registry.add_layer(item("f", os.urandom(200_000)))
    good = registry.blobs[layer[0]["digest"]]
    m = registry.add_image("app", [layer])
    ref = registry.host + "/app:1"

    def with_fault(fault, *words, name=ref):
        registry.faults = [fault]
        store.refused(name, *words)
        registry.faults = []

    d = layer[0]["digest"]
    other = gzip.compress(tar(item("f", os.urandom(200_000))), 1, mtime=0)
    with_fault(Fault(d, data=other[:len(good)].ljust(len(good), b"\0")), "digest")
    with_fault(Fault(d, data=good[:1000] + b"?" + good[1001:]), "unexpected commit digest")
    with_fault(Fault(d, data=good[:-100]), "bytes of it where the manifest says")
    with_fault(Fault(d, data=good + b"more"), "bytes of it where the manifest says")
    with_fault(Fault(d, cut=100_000, length=len(good), no_range=True), "")
    with_fault(Fault("/manifests/sha256", data=b"{}"), "has digest",
               name="%s/app@%s" % (registry.host, m["digest"]))
    with_fault(Fault("/manifests/", data=b"[" * 100_000), "manifest")
    with_fault(Fault("/manifests/", data=b"x" * 5_000_000), "larger than")
    with_fault(Fault("/manifests/", data=b'{"schemaVersion":1,"fsLayers":[]}'), "")
    store.pull(ref)


def test_images_that_contradict_themselves(store, registry):
    a, b = registry.add_layer(item("a", "a")), registry.add_layer(item("b", "b"))
    registry.add_image("swapped", [a, b], diff_ids=[b[1], a[1]])
    store.refused(registry.host + "/swapped:1", "diff id")
    registry.add_image("few", [a, b], diff_ids=[a[1]])
    store.refused(registry.host + "/few:1", "2 layers")
    many = [registry.add_layer(item("n", str(i))) for i in range(130)]
    registry.add_image("many", many)
    store.refused(registry.host + "/many:1", "130 layers")
    cut = registry.blobs[a[0]["digest"]][:-20]
    registry.add_image("cut", [(registry.add_packed(cut), a[1])])
    store.refused(registry.host + "/cut:1", "gzip stream ends in the middle")
    junk = os.urandom(5000)
    registry.add_image("junk", [(registry.add_packed(junk), digest(junk))])
    store.refused(registry.host + "/junk:1", "archive")


HOSTILE = {
    "dots": ([item("../../evil", "x")], "climbs out"),
    "dots inside": ([item("a/../../../evil", "x")], "climbs out"),
    "absolute": ([item("/evil", "x")], "absolute"),
    "symlink out": ([item("out", link="../../../.."), item("out/evil", "x")], "no directory"),
    "absolute symlink": ([item("out", link="/"), item("out/evil", "x")], "no directory"),
    "hardlink out": ([item("h", type=HARD, link="../../evil")], "climbs out"),
    "hardlink absolute": ([item("h", type=HARD, link="/etc/passwd")], "absolute"),
    "hardlink by symlink": ([item("out", link="/etc"),
                             item("h", type=HARD, link="out/passwd")], "no file of this layer"),
    "block device": ([item("dev/sda", type=BLK, devmajor=8, devminor=0)], "device node"),
    "memory": ([item("dev/mem", type=CHR, devmajor=1, devminor=1)], "device node"),
    "whiteout of ..": ([item("a/.wh...")], "whiteout"),
    "hidden in a whiteout": ([item(".wh.a/b", "x")], "whiteout"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_layers(store, registry, name, tmp_path):
    items, word = HOSTILE[name]
    bad = registry.add_layer(item("before", "x"), *items)
    registry.add_image("bad", [registry.add_layer(item("ok", "x")), bad])
    # tarfile itself strips a leading slash nowhere: the archive says what it should
    assert word in store.refused(registry.host + "/bad:1", bad[0]["digest"])
    assert not os.path.exists("/evil") and not (tmp_path / "evil").exists()
    assert bad[1][7:35] not in os.listdir(store.path + "/layers")


def test_bombs(store, registry):
    # 80 GB in one entry, by its header
    info, _ = item("big")
    info.size = 80 << 30
    raw = info.tobuf(tarfile.GNU_FORMAT)
    registry.add_image("big", [registry.add_layer(raw=raw)])
    store.refused(registry.host + "/big:1", "more than")
    # 6 GB of zeros in 6 MB
    info.size = 6 << 30
    member = gzip.compress(bytes(64 << 20), 9, mtime=0)
    packed = gzip.compress(info.tobuf(tarfile.GNU_FORMAT), mtime=0) + member * 96
    registry.add_image("zeros", [(registry.add_packed(packed), "sha256:" + "1" * 64)])
    store.refused(registry.host + "/zeros:1", "times its size")


def test_full_disk(registry, tmp_path):
    at = tmp_path / "small"
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", at], check=True)
    try:
        store = Store(at / "store")
        registry.add_image("big", [registry.add_layer(item("f", os.urandom(12_000_000)))])
        registry.add_image("small", [registry.add_layer(item("f", os.urandom(1_000_000)))])
        store.refused(registry.host + "/big:1", "No space left on device")
        store.pull(registry.host + "/small:1")
    finally:
        subprocess.run(["umount", at], check=True)


# ---- processes that die ----

def stalled_pull(store, registry):
    """A pull that stands in the middle of a layer. Returns it and the worker's pid."""
    data = os.urandom(2_000_000)
    layer = registry.add_layer(item("a", data[:1000]), item("f", data))
    registry.add_image("slow", [layer])
    registry.faults.append(Fault(layer[0]["digest"], times=1, stall=500_000))
    p = subprocess.Popen(store.argv("pull", registry.host + "/slow:1"), stdout=subprocess.PIPE,
                         text=True)
    for _ in range(200):
        time.sleep(0.05)
        path = "/proc/%d/task" % p.pid
        kids = [int(k) for t in os.listdir(path)
                for k in open("%s/%s/children" % (path, t)).read().split()]
        with open("/proc/%d/status" % kids[0]) if kids else open("/dev/null") as f:
            if "Seccomp:\t2" in f.read():
                return p, kids[0]
    p.kill()
    pytest.fail("no worker came up")


def test_the_worker_is_locked_in(store, registry):
    p, worker = stalled_pull(store, registry)
    with open("/proc/%d/status" % worker) as f:
        status = dict(l.split(":\t", 1) for l in f.read().splitlines() if ":\t" in l)
    root = os.listdir("/proc/%d/root" % worker)
    limits = open("/proc/%d/limits" % worker).read()
    fds = [os.readlink("/proc/%d/fd/%s" % (worker, f)) for f in os.listdir("/proc/%d/fd" % worker)]
    registry.released.set()
    out = json.loads(p.communicate(timeout=60)[0])
    assert "error" not in out
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert status["Uid"].split() == ["65534"] * 4 and status["Groups"].strip() == ""
    # CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETFCAP
    allowed = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 31
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == allowed
    assert int(status["CapBnd"], 16) == int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    assert set(root) <= {"a", "f"}  # its whole world is the layer
    assert "Max core file size        0" in limits
    assert not [f for f in fds if store.path in f and "/tmp/" not in f]


def test_a_killed_worker(store, registry):
    p, worker = stalled_pull(store, registry)
    os.kill(worker, signal.SIGKILL)
    registry.released.set()
    out = json.loads(p.communicate(timeout=60)[0])
    assert "unpack worker was killed by signal 9" in out["error"]
    assert store.leftovers() == []
    registry.faults = []
    store.pull(registry.host + "/slow:1")


def test_a_killed_store(store, registry):
    p, worker = stalled_pull(store, registry)
    out = store.run("list")[0]
    assert "in use by another process" in out["error"]
    p.kill()
    p.wait()
    for _ in range(100):
        if not os.path.exists("/proc/%d/root" % worker):
            break
        time.sleep(0.05)
    registry.released.set()
    assert not os.path.exists("/proc/%d/root" % worker)  # nobody is left writing
    registry.faults = []
    im = store.pull(registry.host + "/slow:1")
    assert os.path.getsize(im["layers"][0] + "/f") == 2_000_000
    assert os.listdir(store.path + "/tmp") == []


def test_a_worker_dies_with_its_store(store, registry):
    """Whatever it is doing: it may read a file, or hang on a disk, and not notice that a pipe ended."""
    p, worker = stalled_pull(store, registry)
    os.kill(worker, signal.SIGSTOP)
    p.kill()
    p.wait()
    for _ in range(100):
        if not os.path.exists("/proc/%d/root" % worker):
            break
        time.sleep(0.05)
    else:
        os.kill(worker, signal.SIGKILL)
        pytest.fail("the worker outlived its store")
    registry.released.set()


def test_a_damaged_store_is_mended_by_a_pull(store, registry):
    registry.add_image("app", [registry.add_layer(item("f", "x"))])
    im = store.pull(registry.host + "/app:1")
    name = im["manifest"][7:]
    with open("%s/images/%s.config" % (store.path, name), "a") as f:
        f.write(" ")
    assert store.run("list") == []
    store.pull(registry.host + "/app:1")
    os.unlink(im["layers"][0] + ".json")
    assert store.run("list") == []
    store.run("prune")
    assert os.listdir(store.path + "/layers") == []
    store.pull(registry.host + "/app:1")


def layer_files(store):
    found = {}
    for name in os.listdir(store.path + "/layers"):
        if name.endswith(".json"):
            with open(store.path + "/layers/" + name) as f:
                found[store.path + "/layers/" + name] = json.load(f)
    return found


def test_a_layer_that_was_not_durable_does_not_outlive_its_boot(store, registry):
    registry.add_image("app", [registry.add_layer(item("f", "x")), registry.add_layer(item("g", "y"))])
    ref = registry.host + "/app:1"
    store.pull(ref)
    with subprocess.Popen(store.argv("hold"), stdin=subprocess.PIPE) as holder:
        for _ in range(600):  # made durable by whoever has the store open, behind what others wrote
            if not any("boot" in f for f in layer_files(store).values()):
                break
            time.sleep(0.05)
        else:
            pytest.fail("never made durable")
        holder.stdin.close()
    path, layer = sorted(layer_files(store).items())[0]
    with open("/proc/sys/kernel/random/boot_id") as f:
        here = f.read().strip()
    for boot, kept in ((here, True), ("00000000-0000-0000-0000-000000000000", False)):
        with open(path, "w") as f:
            json.dump(dict(layer, boot=boot), f)
        assert bool(store.run("list")) == kept
    with open(path[:-5] + "/lost", "w") if os.path.isdir(path[:-5]) else open(os.devnull, "w"):
        pass
    im = store.pull(ref)
    assert read(im, 0, "g") == "y" and read(im, 1, "f") == "x"
    assert not any(os.path.exists(l + "/lost") for l in im["layers"])


# ---- a registry that others wrote ----

def test_docker_registry(store, tmp_path):
    port = fake_free_port()
    config = tmp_path / "registry.yml"
    config.write_text("version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\n"
                      "http: {addr: '127.0.0.1:%d'}\nlog: {level: error}\n"
                      % (tmp_path / "registry", port))
    p = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    try:
        layout = str(tmp_path / "oci")
        make_image = os.path.join(os.path.dirname(__file__), "../../tools/make-image")
        subprocess.run([make_image, "busybox", layout], check=True, stderr=subprocess.DEVNULL)
        for _ in range(50):
            r = subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false",
                                "oci:%s:latest" % layout, "docker://localhost:%d/bb:1" % port],
                               stderr=subprocess.DEVNULL)
            if r.returncode == 0:
                break
            time.sleep(0.2)
        im = store.pull("localhost:%d/bb:1" % port)
        assert im["cmd"] == ["sh"]
        root = im["layers"][0]
        assert os.readlink(root + "/usr/bin/sh") == "busybox"
        out = subprocess.run(["/usr/sbin/chroot", root, "sh", "-c", "echo hello"], stdout=subprocess.PIPE,
                             env={"PATH": "/bin"}, text=True)
        assert out.stdout == "hello\n"
    finally:
        p.kill()
        p.wait()


def fake_free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
