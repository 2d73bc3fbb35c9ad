"""Kernel 6.1 with controllers in v1 hierarchies, and a v2 tree without any beside them."""
# flake8: noqa: F401 (the tests that are taken from elsewhere)
import cgroups
from cgroups import (
    test_limits_are_in_the_cgroups_files, test_out_of_memory_is_reported_and_others_live,
    test_devices_are_closed, test_stop_kills_all_that_is_deaf, test_shim_killed)
from test_tasks import test_exec_and_ps

CGROUP = 'hybrid'


def test_nothing_is_left_after_down(gantry, busybox):
    cgroups.nothing_is_left_after_down(gantry, busybox)
