"""The journal seen from outside: what is kept of the past, and what it says."""
import json

import pytest
from botocore.credentials import Credentials

import admin
from server import Server


@pytest.fixture(scope='module')
def server():
    s = Server()
    yield s
    s.end()


def test_only_root_asks_about_the_journal(server):
    answer = server.post(path='/_gantry/node-key?node=n1', service='gantry')[2]
    key = json.loads(answer)
    node = Credentials(key['accessKeyId'], key['secretAccessKey'])
    with pytest.raises(admin.Refused) as e:
        admin.call(server, 'DescribeJournal', credentials=node)
    assert e.value.kind == 'AccessDeniedException'
    server.client('ecs').create_cluster(clusterName='a')
    journal = admin.call(server, 'DescribeJournal')
    assert journal['revision'] >= journal['firstRevision'] == 1
    assert journal['time'] >= journal['firstTime'] > 0
