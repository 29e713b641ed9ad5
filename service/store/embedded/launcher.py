"""The program between fork and PostgreSQL: it takes another name for root, ties itself to its owner's life, and becomes it.

A program of its own, run by a fresh interpreter, since that may change its identity safely, while code between fork and exec
of a process with threads may not. It is run by its path, and imports the standard library only.
"""

import contextlib
import ctypes
import os
import pwd
import signal
import sys
from pathlib import Path
from typing import NoReturn


def _turn_into(owner: int, own: list[Path], command: list[str]) -> NoReturn:
    """Become PostgreSQL, bound to the life of the owner."""
    if os.geteuid() == 0:
        _leave_root(own, Path(command[0]))
    if sys.platform == "linux":  # after every change of identity, since that clears it
        _call("prctl", 1, signal.SIGINT)  # PR_SET_PDEATHSIG
    if os.getppid() != owner:  # it died before the kernel knew that we care
        sys.exit("The owner ended before the server began.")
    os.execv(command[0], command)  # noqa: S606 - our binary


def _leave_root(own: list[Path], program: Path) -> None:
    """PostgreSQL refuses root: take another name for root (a user namespace), or else be the cluster's owner or nobody.

    In the namespace every file stays as it is, and a program below /root stays readable.
    """
    nobody, cluster = pwd.getpwnam("nobody"), own[0].stat()
    if cluster.st_uid == 0 and _may_enter_namespace(nobody):
        _enter_namespace(nobody)
        return
    uid, gid = (cluster.st_uid, cluster.st_gid) if cluster.st_uid else (nobody.pw_uid, nobody.pw_gid)
    for top in own:
        for path in (*top.rglob("*"), top):  # the top last: its owner tells that all is done
            os.chown(path, uid, gid, follow_symlinks=False)
    if sys.platform == "linux":
        _call("prctl", 8, 1)  # PR_SET_KEEPCAPS
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if sys.platform == "linux" and not all(os.access(path, os.X_OK) for path in (program, *own)):
        # All lies below a directory like /root, which only root may enter: pass CAP_DAC_OVERRIDE on, and only that.
        bit, version = 1 << 1, 0x20080522
        _call("capset", (ctypes.c_uint32 * 2)(version, 0), (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0))
        _call("prctl", 47, 2, 1, 0, 0)  # PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE


def _may_enter_namespace(inside: pwd.struct_passwd) -> bool:
    """Try it in a child: who is refused half-way, as in some containers, cannot go back."""
    if sys.platform != "linux":
        return False
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            _enter_namespace(inside)
            os._exit(0)
        os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def _enter_namespace(inside: pwd.struct_passwd) -> None:
    uid, gid = os.geteuid(), os.getegid()
    _call("unshare", 0x10000000)  # CLONE_NEWUSER
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{inside.pw_uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{inside.pw_gid} {gid} 1")


def _call(function: str, *arguments: object) -> None:
    words = [ctypes.c_ulong(argument) if isinstance(argument, int) else argument for argument in arguments]
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*words) != 0:
        raise OSError(ctypes.get_errno(), f"{function}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    _split = sys.argv.index("--")
    _turn_into(int(sys.argv[1]), [Path(path) for path in sys.argv[2:_split]], sys.argv[_split + 1 :])
