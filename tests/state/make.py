#!/usr/bin/python3
"""Makes tests/state/<release>.tar.gz: the state folder of a server with some of everything in it, to
be opened by every later release (tests/integration/test_upgrade.py). Run once for each release:

    GANTRY_BUILD=$PWD/build tests/state/make.py 0.1.0
"""
import os
import sys
import tarfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'integration'))

from server import Server  # noqa: E402
from test_backup import push_blob  # noqa: E402
from test_replay import tool, work  # noqa: E402


def main():
    server = Server()
    work(server)
    push_blob(server, b'a layer')
    logs = server.client('logs')
    logs.create_log_group(logGroupName='kept')
    logs.create_log_stream(logGroupName='kept', logStreamName='s')
    logs.put_log_events(logGroupName='kept', logStreamName='s',
                        logEvents=[dict(timestamp=int(time.time() * 1000), message='hello')])
    copy = os.path.join(server.dir, 'copy')
    assert tool(server, 'backup', copy).returncode == 0  # each database as one file
    os.unlink(os.path.join(copy, 'MANIFEST'))
    with tarfile.open(os.path.join(HERE, sys.argv[1] + '.tar.gz'), 'w:gz') as tar:
        for name in sorted(os.listdir(copy)):
            tar.add(os.path.join(copy, name), name)
    server.end()


main()
