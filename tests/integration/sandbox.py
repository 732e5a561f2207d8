"""sandbox.py COMMAND...: runs a command with only the system calls that conf/prgate.service allows.

systemd itself need not run: it only tells (systemd-analyze) which calls its names stand for. Address families and the
like, which the unit restricts too, are not imitated.
"""
import ctypes
import errno
import os
import pathlib
import re
import struct
import subprocess
import sys

UNIT = pathlib.Path(__file__).resolve().parents[2] / "conf/prgate.service"
NUMBERS = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
ALWAYS = {"execve", "exit", "exit_group", "getrlimit", "rt_sigreturn"}  # what systemd allows in any case
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD_NUMBER, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


def members(name):
    """The calls that a name of systemd's stands for; a call itself stands for itself."""
    if not name.startswith("@"):
        return {name}
    text = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", name], check=True, text=True,
                          capture_output=True).stdout
    listed = [line.strip() for line in text.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return set().union(*(members(one) for one in listed))


def allowed():
    calls = set(ALWAYS)
    for value in re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(), re.MULTILINE):
        named = set().union(*(members(name) for name in value.lstrip("~").split()))
        calls = calls - named if value.startswith("~") else calls | named
    return calls


def numbers(calls):
    known = dict(re.findall(r"#define __NR_(\w+) (\d+)", pathlib.Path(NUMBERS).read_text()))
    return sorted(int(known[name]) for name in calls if name in known)


def install(calls):
    """Whatever is not in `calls` fails with EPERM from here on, in all that is executed too."""
    steps = [struct.pack("HBBI", LOAD_NUMBER, 0, 0, 0)]
    for number in numbers(calls):
        steps += [struct.pack("HBBI", IF_EQUAL, 0, 1, number), struct.pack("HBBI", RETURN, 0, 0, ALLOW)]
    steps.append(struct.pack("HBBI", RETURN, 0, 0, ERRNO | errno.EPERM))
    code = ctypes.create_string_buffer(b"".join(steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), "no filter of system calls")


if __name__ == "__main__":
    install(allowed())
    os.execvp(sys.argv[1], sys.argv[1:])
