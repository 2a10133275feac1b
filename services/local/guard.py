"""Becomes another program that the kernel ends when its parent is gone, however the parent ended.

Run by its path, with as little of Python as possible: guard.py PARENT_PID SIGNAL USER PROGRAM [ARGUMENT ...]
USER is empty, or whom to become first (only root may).
Where the kernel has no such promise (it is Linux's) the next start stops what was left: see processes.py.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PARENT_IS_GONE = 125


def become(user: str) -> None:
    """Give up root for this user and its group alone."""
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def end_with_parent(parent: int, signal_number: int) -> None:
    """Ask the kernel for this signal when the parent is gone; to be called last, a change of user undoes it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:  # it went before we asked
        sys.exit(PARENT_IS_GONE)


def call_it(name: str) -> None:
    """Have `ps` and `top` show this process under a name; of its 15 characters at most."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def main() -> None:
    """Do what the module's docstring says."""
    parent, signal_number, user, *argv = sys.argv[1:]
    if user:
        become(user)
    end_with_parent(int(parent), int(signal_number))
    os.execv(argv[0], argv)  # noqa: S606 - argv is our own


if __name__ == "__main__":
    main()
