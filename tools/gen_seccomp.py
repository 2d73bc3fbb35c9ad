#!/usr/bin/env python3
"""Turns src/node/runtime/seccomp/*.json into a C table of ranges of system call numbers.

usage: gen_seccomp.py default.json syscalls.json out.h

Each entry covers the numbers first..last: allowed when one of `caps` is in the bounding set,
otherwise `otherwise`. Known calls that no rule names are an error here, so that a new kernel's call
is placed by somebody who thought about it; unknown numbers are ENOSYS at run time.
"""
import json
import sys

CAPS = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP " \
       "LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER " \
       "SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE " \
       "SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP " \
       "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF " \
       "CHECKPOINT_RESTORE".split()
ACTIONS = {"allow", "EPERM", "ENOSYS", "CLONE", "SOCKET", "PERSONALITY"}


def rules_by_name(profile):
    rules = {}
    for rule in profile["rules"]:
        mask = sum(1 << CAPS.index(c) for c in rule.get("caps", []))
        action = rule["otherwise"] if mask else rule["action"]
        if action not in ACTIONS:
            raise SystemExit(f"{rule['group']}: unknown action {action}")
        for name in rule["names"]:
            if name in rules:
                raise SystemExit(f"{name} is in two groups")
            rules[name] = (action.upper(), mask)
    return rules


def table(rules, numbers):
    """Sorted (first, last, otherwise, caps), neighbours of one kind merged, gaps ENOSYS."""
    entries = []
    at = 0
    for number in sorted(numbers):
        action, mask = rules[numbers[number]]
        if number > at:
            entries.append([at, number - 1, "ENOSYS", 0])
        if entries and entries[-1][2:] == [action, mask] and entries[-1][1] == number - 1:
            entries[-1][1] = number
        else:
            entries.append([number, number, action, mask])
        at = number + 1
    return entries


def main():
    profile, syscalls, out = sys.argv[1:4]
    with open(profile) as f:
        rules = rules_by_name(json.load(f))
    with open(syscalls) as f:
        calls = json.load(f)["syscalls"]
    if set(rules) != set(calls):
        raise SystemExit(f"profile and list of calls differ: {sorted(set(rules) ^ set(calls))}")
    with open(out, "w") as f:
        f.write("/* Made by tools/gen_seccomp.py. */\n")
        for i, arch in enumerate(("__x86_64__", "__aarch64__")):
            f.write(f"#ifdef {arch}\nstatic const struct seccomp_range default_ranges[] = {{\n")
            numbers = {v[i]: k for k, v in calls.items() if v[i] is not None}
            for first, last, action, mask in table(rules, numbers):
                f.write(f"    {{{first}, {last}, DO_{action}, {mask:#x}ULL}},\n")
            f.write("};\n#endif\n")


main()
