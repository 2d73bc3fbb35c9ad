"""The node's network and gantry-link, on a "host" that is a network namespace of the test's own, with
another one beside it as another machine. Needs root. Build directory: GANTRY_BUILD or build/."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("GANTRY_BUILD", ROOT / "build"))
NET_TOOL = BUILD / "tests/tools/net_tool"
LINK = BUILD / "src/cmd/gantry-link"
PYTHON = "/usr/bin/python3"
OUTSIDE = "198.51.100.2"
HOST = "198.51.100.1"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not NET_TOOL.exists(), reason=f"{NET_TOOL} is not built"),
]


def sh(*args, check=True):
    return subprocess.run(args, check=check, capture_output=True, text=True).stdout


class Host:
    """A network namespace with a neighbour, and everything that was started in either."""

    def __init__(self, tmp):
        self.id = uuid.uuid4().hex[:8]
        self.run = tmp / "run"
        self.run.mkdir()
        self.ns, self.outside = f"gth{self.id}", f"gto{self.id}"
        self.processes = []
        for ns in (self.ns, self.outside):
            sh("ip", "netns", "add", ns)
            sh("ip", "-n", ns, "link", "set", "lo", "up")
        sh("ip", "-n", self.ns, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0",
           "netns", self.outside)
        for ns, address in ((self.ns, HOST), (self.outside, OUTSIDE)):
            sh("ip", "-n", ns, "addr", "add", f"{address}/24", "dev", "eth0")
            sh("ip", "-n", ns, "link", "set", "eth0", "up")
        # As a hostile neighbour would: everything of ours by way of the host.
        sh("ip", "-n", self.outside, "route", "add", "10.200.0.0/16", "via", HOST)

    def path(self, where):
        return {"host": f"/run/netns/{self.ns}", "outside": f"/run/netns/{self.outside}"}.get(
            where, where)

    def start(self, where, *args, **kw):
        p = subprocess.Popen(["nsenter", f"--net={self.path(where)}", *map(str, args)], text=True,
                             **kw)
        self.processes.append(p)
        return p

    def python(self, where, code, *args):
        p = self.start(where, PYTHON, "-c", code, *args, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
        out, err = p.communicate(timeout=20)
        self.processes.remove(p)
        return (out.strip() if p.returncode == 0 else None), err

    def serve(self, where, port, text, address="0.0.0.0", kind="tcp"):
        """A server that answers with a text and who asked, ready when this returns."""
        p = self.start(where, PYTHON, "-c", SERVER, kind, address, port, text,
                       stdout=subprocess.PIPE)
        assert p.stdout.readline() == "ready\n"
        return p

    def ask(self, where, address, port, kind="tcp", timeout=2):
        """[text, peer as the server saw it], or None."""
        out, _ = self.python(where, CLIENT, kind, address, str(port), str(timeout))
        return out.split() if out else None

    def snapshot(self):
        links = sorted(l["ifname"] for l in
                       json.loads(sh("nsenter", f"--net={self.path('host')}", "ip", "-j", "link")))
        rules = sh("nsenter", f"--net={self.path('host')}", "nft", "list", "ruleset")
        routes = sh("ip", "-n", self.ns, "route")
        mounts = [l for l in Path("/proc/self/mounts").read_text().splitlines()
                  if str(self.run) in l]
        return links, rules, routes, mounts

    def tool(self, name="t", subnet="10.200.9.0/24", denied=()):
        return Tool(self, name, subnet, denied)

    def close(self):
        for p in self.processes:
            if p.poll() is None:
                p.kill()
            p.wait()
        for line in Path("/proc/self/mounts").read_text().splitlines():
            if str(self.run) in line.split()[1]:
                sh("umount", "-l", line.split()[1], check=False)
        for ns in (self.ns, self.outside):
            sh("ip", "netns", "del", ns, check=False)


SERVER = """
import socket, sys
kind, address, port, text = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((address, port))
if kind == "tcp": s.listen(64)
print("ready", flush=True)
while True:
    if kind == "tcp":
        c, peer = s.accept()
        c.sendall(f"{text} {peer[0]}".encode()); c.close()
    else:
        _, peer = s.recvfrom(2048)
        s.sendto(f"{text} {peer[0]}".encode(), peer)
"""

CLIENT = """
import socket, sys
kind, address, port, timeout = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.settimeout(timeout)
s.connect((address, port))
if kind == "udp": s.send(b"hello")
print(s.recv(2048).decode())
"""


class Tool:
    """net_tool, one command and one answer at a time."""

    def __init__(self, host, name, subnet, denied):
        self.host, self.name, self.subnet, self.denied = host, name, subnet, denied
        self.run = host.run / name
        self.run.mkdir(exist_ok=True)
        self.begin()

    def begin(self):
        self.p = self.host.start("host", NET_TOOL, self.name, self.run, self.subnet, *self.denied,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def raw(self, *words):
        self.p.stdin.write(" ".join(map(str, words)) + "\n")
        self.p.stdin.flush()
        line = self.p.stdout.readline()
        assert line, "net_tool died"
        return json.loads(line)

    def __call__(self, *words):
        answer = self.raw(*words)
        assert answer["result"] >= 0, answer
        return answer

    def kill(self):
        self.p.kill()
        self.p.wait()


@pytest.fixture
def host(tmp_path):
    h = Host(tmp_path)
    try:
        yield h
    finally:
        h.close()


@pytest.fixture
def tool(host):
    t = host.tool()
    t("open")
    return t


def test_teardown_leaves_nothing(host):
    before = host.snapshot()
    t = host.tool()
    t("open")
    t("refill")
    t("attach", "a", "bridge", "-", "tcp", 80, 0, "udp", 53, 5353)
    t("attach", "b", "awsvpc", "10.200.9.4")
    t("attach", "c", "none", "-")
    assert host.snapshot() != before
    t("close")
    assert host.snapshot() == before
    assert list(t.run.iterdir()) == []


def test_destroy_by_name_after_a_crash(host):
    before = host.snapshot()
    t = host.tool()
    t("open")
    t("refill")
    t("attach", "a", "bridge", "-", "tcp", 80, 8080)
    t.kill()
    t.begin()
    t("destroy")
    assert host.snapshot() == before
    t("destroy")


def test_tasks_reach_each_other_and_the_world(host, tool):
    a = tool("attach", "a", "bridge", "-")
    b = tool("attach", "b", "awsvpc", "10.200.9.4")
    assert b["address"] == "10.200.9.4" and b["gateway"] == "10.200.9.1"
    assert b["mac"] == "02:67:0a:c8:09:04"
    host.serve(b["netns"], 80, "b")
    assert host.ask(a["netns"], b["address"], 80) == ["b", a["address"]]
    assert host.ask("host", b["address"], 80) == ["b", "10.200.9.1"]
    host.serve("outside", 80, "world")
    assert host.ask(a["netns"], OUTSIDE, 80) == ["world", HOST]
    assert host.ask(a["netns"], "127.0.0.1", 80) is None


def test_mode_none_has_loopback_only(host, tool):
    a = tool("attach", "a", "none", "-")
    host.serve(a["netns"], 80, "self")
    assert host.ask(a["netns"], "127.0.0.1", 80) == ["self", "127.0.0.1"]
    links = json.loads(sh("nsenter", f"--net={a['netns']}", "ip", "-j", "link"))
    assert [l["ifname"] for l in links] == ["lo"]


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_port_mappings(host, tool, kind):
    a = tool("attach", "a", "bridge", "-", kind, 80, 8080, kind, 81, 0)
    fixed, dynamic = a["ports"]
    assert fixed == 8080 and 32768 <= dynamic <= 60999
    b = tool("attach", "b", "bridge", "-")
    host.serve(a["netns"], 80, "a80", kind=kind)
    host.serve(a["netns"], 81, "a81", kind=kind)
    assert host.ask("host", "127.0.0.1", fixed, kind) == ["a80", "10.200.9.1"]
    assert host.ask("host", HOST, fixed, kind)[0] == "a80"
    assert host.ask("outside", HOST, fixed, kind) == ["a80", OUTSIDE]
    assert host.ask("outside", HOST, dynamic, kind) == ["a81", OUTSIDE]
    assert host.ask(b["netns"], HOST, fixed, kind)[0] == "a80"
    assert host.ask(a["netns"], HOST, fixed, kind)[0] == "a80"  # its own
    tool("detach", "a")
    assert host.ask("host", "127.0.0.1", fixed, kind, timeout=0.5) is None


def test_a_service_that_moves_keeps_its_udp_clients(host, tool):
    """The kernel remembers a UDP flow's translation: it must not outlive the task."""
    client = host.start("outside", PYTHON, "-c", """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1); s.connect((sys.argv[1], 5353))
for line in sys.stdin:
    s.send(b"x")
    try: print(s.recv(100).decode(), flush=True)
    except OSError as e: print("none", flush=True)
""", HOST, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask():
        client.stdin.write("\n")
        client.stdin.flush()
        return client.stdout.readline().split()[0]

    a = tool("attach", "a", "bridge", "-", "udp", 53, 5353)
    host.serve(a["netns"], 53, "first", kind="udp")
    assert ask() == "first"
    tool("detach", "a")
    b = tool("attach", "b", "bridge", "-", "udp", 53, 5353)
    host.serve(b["netns"], 53, "second", kind="udp")
    assert ask() == "second"


def test_a_port_that_is_taken(host, tool):
    tool("attach", "a", "bridge", "-", "tcp", 80, 8080)
    r = tool.raw("attach", "b", "bridge", "-", "tcp", 80, 8080)
    assert r["result"] < 0 and "host port 8080/tcp is taken by task a" in r["message"]
    host.serve("host", 8081, "other", address="127.0.0.1")
    r = tool.raw("attach", "b", "bridge", "-", "tcp", 80, 8081)
    assert "8081/tcp is taken by another program" in r["message"]
    r = tool.raw("attach", "b", "bridge", "-", "tcp", 80, 8082, "tcp", 81, 8080)
    assert r["result"] < 0
    tool("attach", "b", "bridge", "-", "tcp", 80, 8082)  # nothing of the refused one was kept
    out, err = host.python("host", "import socket; socket.create_server(('0.0.0.0', 8080))")
    assert out is None and "in use" in err  # and ours cannot be taken from us


def test_bad_requests(tool):
    for words in (("x/y", "bridge", "-"), ("a", "awsvpc", "10.200.8.4"), ("a", "awsvpc", "junk"),
                  ("a", "awsvpc", "10.200.9.2"), ("a", "bridge", "-", "tcp", 0, 1),
                  ("a", "bridge", "-", "tcp", 1, 9, "tcp", 2, 9)):
        assert tool.raw("attach", *words)["result"] < 0, words
    tool("attach", "a", "awsvpc", "10.200.9.4")
    assert "taken by task a" in tool.raw("attach", "b", "awsvpc", "10.200.9.4")["message"]
    assert tool("attach", "a", "awsvpc", "10.200.9.4")["address"] == "10.200.9.4"  # idempotent


def test_isolation(host):
    t = host.tool(denied=(":4566", f"{OUTSIDE}:4567"))
    t("open")
    a = t("attach", "a", "bridge", "-")
    b = t("attach", "b", "awsvpc", "10.200.9.4")
    host.serve("host", 4566, "control")
    host.serve("host", 7000, "private", address="127.0.0.1")
    host.serve("host", 7001, "public")
    host.serve("outside", 4567, "peer-control")
    host.serve("outside", 4568, "peer")
    host.serve(b["netns"], 80, "b")
    for address in (HOST, "10.200.9.1"):
        assert host.ask(a["netns"], address, 4566, timeout=1) is None
        assert host.ask(a["netns"], address, 7000, timeout=1) is None
        assert host.ask(a["netns"], address, 7001)[0] == "public"
    assert host.ask(a["netns"], OUTSIDE, 4567, timeout=1) is None
    assert host.ask(a["netns"], OUTSIDE, 4568)[0] == "peer"
    assert host.ask("outside", b["address"], 80, timeout=1) is None
    # To the host's loopback by a route of one's own: the bridge has route_localnet.
    ns = ("nsenter", f"--net={a['netns']}")
    sh(*ns, "ip", "addr", "del", "127.0.0.1/8", "dev", "lo")
    sh(*ns, "ip", "route", "add", "127.0.0.0/8", "via", "10.200.9.1")
    sh(*ns, "sysctl", "-qw", "net.ipv4.conf.eth0.route_localnet=1")
    assert host.ask(a["netns"], "127.0.0.1", 7000, timeout=1) is None


def test_a_task_cannot_use_anothers_address(host, tool):
    a = tool("attach", "a", "bridge", "-")
    b = tool("attach", "b", "awsvpc", "10.200.9.4")
    host.serve(b["netns"], 80, "b")
    ns = ("nsenter", f"--net={a['netns']}")
    sh(*ns, "ip", "addr", "add", "10.200.9.77/24", "dev", "eth0")
    out, err = host.python(a["netns"], """
import socket
s = socket.socket(); s.settimeout(1); s.bind(("10.200.9.77", 0)); s.connect(("10.200.9.4", 80))
""")
    assert out is None and ("timed out" in err or "unreachable" in err or "No route" in err)


def test_restart_of_the_agent(host, tool):
    a = tool("attach", "a", "bridge", "-", "tcp", 80, 8080)
    tool("attach", "b", "bridge", "-", "tcp", 80, 8081)
    tool("refill")
    host.serve(a["netns"], 80, "a")
    tool.kill()
    assert host.ask("outside", HOST, 8080) == ["a", OUTSIDE]
    tool.begin()
    tool("open")
    assert host.ask("outside", HOST, 8080) == ["a", OUTSIDE]
    assert tool("recover", "a")["result"] == 1
    found = tool("find", "a")
    assert (found["address"], found["ports"], found["netns"]) == (a["address"], [8080], a["netns"])
    assert tool.raw("find", "b")["result"] < 0
    assert "taken by task a" in tool.raw("attach", "c", "bridge", "-", "tcp", 1, 8080)["message"]
    tool("attach", "c", "bridge", "-", "tcp", 80, 8081)
    kept = {p.name for p in (tool.run / "netns").iterdir()}
    assert len(kept) == 3  # a, c, link: b's and the old pool's are gone
    assert host.ask("outside", HOST, 8080) == ["a", OUTSIDE]


def test_repair(host, tool):
    a = tool("attach", "a", "bridge", "-", "tcp", 80, 8080)
    host.serve(a["netns"], 80, "a")
    assert tool("repair")["result"] == 0
    sh("nsenter", f"--net={host.path('host')}", "nft", "flush", "ruleset")
    assert host.ask("outside", HOST, 8080, timeout=0.5) is None
    assert tool("repair")["result"] == 1
    assert host.ask("outside", HOST, 8080) == ["a", OUTSIDE]


def test_dockers_firewall(host):
    ns = ("nsenter", f"--net={host.path('host')}")
    sh(*ns, "nft", """table ip filter {
        chain DOCKER-USER { counter return; }
        chain FORWARD { type filter hook forward priority filter; policy drop; jump DOCKER-USER; }
    }""")
    before = host.snapshot()
    t = host.tool()
    t("open")
    a = t("attach", "a", "bridge", "-", "tcp", 80, 8080)
    host.serve(a["netns"], 80, "a")
    assert host.ask("outside", HOST, 8080) == ["a", OUTSIDE]
    t("close")
    strip = lambda s: re.sub(r"counter packets \d+ bytes \d+", "counter", str(s))
    assert strip(host.snapshot()) == strip(before)


def test_two_instances(host):
    one, two = host.tool("one", "-"), host.tool("two", "-")
    one("open")
    two("open")
    a = one("attach", "t", "bridge", "-", "tcp", 80, 8080)
    b = two("attach", "t", "bridge", "-", "tcp", 80, 8081)
    assert a["subnet"] != b["subnet"]
    host.serve(a["netns"], 80, "one")
    host.serve(b["netns"], 80, "two")
    assert host.ask("outside", HOST, 8080)[0] == "one"
    assert host.ask("outside", HOST, 8081)[0] == "two"
    assert "another program" in two.raw("attach", "u", "bridge", "-", "tcp", 80, 8080)["message"]
    one("close")
    assert host.ask("outside", HOST, 8081)[0] == "two"
    two("close")


def test_attach_is_quick(tool):
    r = tool("bench", 10)
    print(r, file=sys.stderr)
    assert r["attach_us"] < 5000  # 380 without sanitizers on the 2-core machine; the goal is 500


def test_doctor(host):
    before = host.snapshot()
    t = host.tool()
    assert t("check")["result"] == 0
    assert host.snapshot() == before


def test_doctor_sees_a_firewall(host):
    sh("nsenter", f"--net={host.path('host')}", "nft", """table inet strict {
        chain f { type filter hook output priority 10; ip daddr 10.200.0.0/16 drop; }
    }""")
    assert host.tool()("check")["result"] == 1  # the host's own way through a port mapping


# --- gantry-link -----------------------------------------------------------------------------


def state_file(task, address, endpoints, credentials=(), veth=""):
    def section(tag, value):
        value = value if isinstance(value, bytes) else value.encode()
        return struct.pack("<II", tag, len(value)) + value

    doc = lambda what: json.dumps({"what": what, "task": task})
    body = section(1, task) + (section(2, address) if address else b"") + section(4, doc("task"))
    body += section(3, veth) if veth else b""
    for i, e in enumerate(endpoints):
        body += section(16, e) + section(17, f"runtime{i}") + section(18, f"name{i}")
        body += section(19, doc(f"container{i}"))
        body += section(21, f"/sys/fs/cgroup/memory") + section(21, "/sys/fs/cgroup/cpuacct")
    for c in credentials:
        body += section(32, c) + section(33, doc("credentials"))
    return b"GTLINK1\n" + struct.pack("<I", len(body)) + body


class Link:
    def __init__(self, host, tool, resolv_conf):
        self.host, self.tool = host, tool
        self.args = [LINK, "--run", tool.run, "--netns", tool.run / "netns/link", "--resolv-conf",
                     resolv_conf]
        self.begin()

    def begin(self):
        self.p = self.host.start("host", *self.args, stderr=subprocess.PIPE)
        while "serving" not in (line := self.p.stderr.readline()):
            assert line, "gantry-link did not start"

    def write(self, task, *args, **kw):
        folder = self.tool.run / "link/tasks"
        (folder / f".{task}").write_bytes(state_file(task, *args, **kw))
        (folder / f".{task}").rename(folder / task)
        time.sleep(0.05)

    def get(self, where, path):
        """(status, body)"""
        out, err = self.host.python(where, """
import http.client, sys
c = http.client.HTTPConnection("169.254.170.2", timeout=3)
c.request("GET", sys.argv[1]); r = c.getresponse(); print(r.status, r.read().decode())
""", path)
        assert out, err
        status, body = out.split(" ", 1) if " " in out else (out, "")
        return int(status), body


DNS_SERVER = """
import socket, sys, threading
def answer(q): return q[:2] + b"\\x81\\x80" + q[4:6] + b"\\0\\1\\0\\0\\0\\0" + q[12:q.index(b"\\0", 12)+5] + \
    b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4\\x01\\x02\\x03\\x04"
t = socket.create_server(("127.0.0.1", 53))
def tcp():
    while True:
        c, _ = t.accept(); q = c.recv(4096)[2:]; a = answer(q)
        c.sendall(len(a).to_bytes(2, "big") + a)
threading.Thread(target=tcp, daemon=True).start()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 53))
print("ready", flush=True)
while True:
    q, a = u.recvfrom(4096); u.sendto(answer(q), a)
"""

DNS_CLIENT = """
import socket, struct, sys
q = struct.pack(">HHHHHH", 77, 0x100, 1, 0, 0, 0) + b"\\4some\\4host\\0" + struct.pack(">HH", 1, 1)
if sys.argv[1] == "udp":
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(8)
    s.connect(("169.254.170.2", 53)); s.send(q); a = s.recv(4096)
else:
    s = socket.create_connection(("169.254.170.2", 53), timeout=8)
    s.sendall(len(q).to_bytes(2, "big") + q); a = s.recv(4096)[2:]
assert a[:2] == q[:2]
print(a[3] & 15, ".".join(str(b) for b in a[-4:]))
"""


@pytest.fixture
def link(host, tool, tmp_path):
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    return Link(host, tool, conf)


def test_metadata_only_of_ones_own_task(host, tool, link):
    a = tool("attach", "a", "bridge", "-")
    b = tool("attach", "b", "awsvpc", "10.200.9.4")
    link.write("ta", a["address"], ["ea0", "ea1"], credentials=["ca"], veth=a["veth"])
    link.write("tb", b["address"], ["eb0"])
    link.write("th", "", ["eh0"], credentials=["ch"])
    assert link.get(a["netns"], "/v4/ea1") == (200, '{"what": "container1", "task": "ta"}')
    assert link.get(a["netns"], "/v4/ea0/task") == (200, '{"what": "task", "task": "ta"}')
    assert link.get(a["netns"], "/v3/ea0/task")[0] == 200
    assert link.get(a["netns"], "/v2/metadata")[1] == '{"what": "task", "task": "ta"}'
    assert link.get(b["netns"], "/v2/metadata")[1] == '{"what": "task", "task": "tb"}'
    assert link.get(b["netns"], "/v4/ea0")[0] == 404
    assert link.get(a["netns"], "/v4/eb0/task")[0] == 404
    assert link.get(a["netns"], "/v4/eh0")[0] == 404  # a host task's id is of no use elsewhere
    assert link.get("host", "/v4/eh0")[0] == 200
    assert link.get("host", "/v4/ea0")[0] == 404
    assert link.get("host", "/v2/metadata")[0] == 400
    assert link.get(a["netns"], "/v2/credentials/ca") == (
        200, '{"what": "credentials", "task": "ta"}')
    for where, path, refusal, code in (
            (b["netns"], "/v2/credentials/ca", 403, "InvalidIdInRequest"),
            (a["netns"], "/v2/credentials/ch", 403, "InvalidIdInRequest"),
            (a["netns"], "/v2/credentials/", 400, "NoIdInRequest")):
        status, body = link.get(where, path)
        assert status == refusal and json.loads(body)["code"] == code
        assert json.loads(body)["HTTPErrorCode"] == refusal
    assert link.get(a["netns"], "/nothing")[0] == 404
    status, body = link.get(a["netns"], "/v4/ea0/stats")
    stats = json.loads(body)
    assert stats["memory_stats"]["usage"] > 0 and stats["id"] == "runtime0"
    stats = json.loads(link.get(a["netns"], "/v4/ea0/task/stats")[1])
    assert set(stats) == {"runtime0", "runtime1"} and "network_rate_stats" in stats["runtime0"]
    (tool.run / "link/tasks/ta").unlink()
    time.sleep(0.05)
    assert link.get(a["netns"], "/v4/ea0")[0] == 404


def test_link_lives_without_the_agent_and_comes_back(host, tool, link):
    a = tool("attach", "a", "bridge", "-")
    link.write("ta", a["address"], ["ea0"])
    tool.kill()
    assert link.get(a["netns"], "/v4/ea0")[0] == 200
    link.p.send_signal(signal.SIGKILL)
    link.p.wait()
    link.begin()
    assert link.get(a["netns"], "/v4/ea0")[0] == 200
    second = host.start("host", *link.args, stderr=subprocess.PIPE)
    assert second.wait(timeout=10) == 3
    tool.begin()
    tool("open")
    assert link.p.poll() is None  # taken over, not replaced
    tool("close")
    assert link.p.wait(timeout=10) == 0  # its namespace is gone


def test_dns(host, tool, link):
    a = tool("attach", "a", "bridge", "-")
    for kind in ("udp", "tcp"):  # SERVFAIL: nobody there
        out, err = host.python(a["netns"], DNS_CLIENT, kind)
        assert out and out.split()[0] == "2", err
    p = host.start("host", PYTHON, "-c", DNS_SERVER, stdout=subprocess.PIPE)
    assert p.stdout.readline() == "ready\n"
    assert host.python(a["netns"], DNS_CLIENT, "udp")[0] == "0 1.2.3.4"
    assert host.python(a["netns"], DNS_CLIENT, "tcp")[0] == "0 1.2.3.4"


def test_link_under_abuse(host, tool, link):
    a = tool("attach", "a", "bridge", "-")
    b = tool("attach", "b", "bridge", "-")
    link.write("ta", a["address"], ["ea0"])
    link.write("tb", b["address"], ["eb0"])
    out, err = host.python(a["netns"], """
import http.client, socket
c = http.client.HTTPConnection("169.254.170.2", timeout=3)
codes = []
for _ in range(150):
    c.request("GET", "/v4/ea0"); r = c.getresponse(); r.read(); codes.append(r.status)
print(codes.count(200), codes.count(429))
""")
    ok, limited = map(int, out.split())
    assert ok >= 60 and limited > 0 and ok + limited == 150
    out, err = host.python(a["netns"], """
import socket
def raw(data):
    s = socket.create_connection(("169.254.170.2", 80), timeout=3); s.sendall(data)
    try: return s.recv(4096).split(b" ")[1].decode()
    except (OSError, IndexError): return "closed"
idle = [socket.create_connection(("169.254.170.2", 80), timeout=3) for _ in range(100)]
for s in idle: s.close()
print(raw(b"junk\\r\\n\\r\\n"), raw(b"GET / HTTP/1.1\\r\\n" + b"A: " + b"x" * 9000), raw(
    b"GET / HTTP/1.1\\r\\nContent-Length: 1\\r\\nContent-Length: 2\\r\\n\\r\\n"))
""")
    assert out == "400 431 400" or out == "400 closed 400", (out, err)
    assert link.get(b["netns"], "/v4/eb0")[0] == 200
