"""Kernel 6.1 with cgroup v2 alone, as Debian 12 and every newer distribution has it."""
# flake8: noqa: F401,F811 (the tests that are taken from elsewhere, in the order of their run)
import cgroups
import test_containers
from cgroups import *
from test_containers import (
    test_capabilities_dropped_and_added,
    test_depends_on_healthy_and_health_is_shown, test_depends_on_success_that_fails,
    test_init_process_is_number_one_and_reaps, test_metadata_of_the_task_from_inside,
    test_network_none, test_privileged, test_read_only_root, test_shared_memory_size,
    test_the_resolver_is_gantry_link, test_tmpfs, test_ulimits, test_user,
    test_volume_of_the_task_is_shared_by_its_containers)
from test_tasks import (
    test_exec_and_ps, test_missing_command_stops_the_task_with_the_reason,
    test_run_shows_output_and_exit_code, test_service_keeps_its_count,
    test_stop_task_sends_sigterm, test_stopping_while_it_starts)

CGROUP = 'v2'
test_containers.routes_to_link = lambda: 1  # the guest's routes are what counts, and it has one


def test_nothing_is_left_after_down(gantry, busybox):
    cgroups.nothing_is_left_after_down(gantry, busybox)
