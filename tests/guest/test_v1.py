"""Kernel 6.1 with cgroup v1 alone: no v2 tree, so no cgroup.kill and no clone into a cgroup."""
# flake8: noqa: F401 (the tests that are taken from elsewhere)
import cgroups
from cgroups import (
    test_doctor_on_a_fresh_machine, test_limits_are_in_the_cgroups_files, test_cpu_limit_holds,
    test_out_of_memory_is_reported_and_others_live, test_out_of_memory_of_the_task_as_a_whole,
    test_devices_are_closed, test_a_privileged_container_has_the_devices,
    test_stop_kills_all_that_is_deaf, test_security_from_inside, test_statistics_from_inside,
    test_server_and_agent_killed, test_shim_killed)
from test_tasks import test_exec_and_ps

CGROUP = 'v1'


def test_nothing_is_left_after_down(gantry, busybox):
    cgroups.nothing_is_left_after_down(gantry, busybox)
