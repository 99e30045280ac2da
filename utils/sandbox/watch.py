"""What one sandbox uses, measured from outside, and the sentence for the moment that is too much.

Limits of the operating system count per process; ten processes with two gigabytes each are within them. And code that
means harm finds memory and disk that belong to no process and no name, so what the machine has left is looked at, too.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from utils.sandbox import workspace
from utils.sandbox.limits import MB, SandboxLimits

MEMORY_LEFT = 256 * MB
DISK_LEFT = 256 * MB


@dataclass(frozen=True)
class Disk:
    """Bytes taken, and how many files and folders take them."""

    space: int
    entries: int


class Hidden(OSError):
    """Files are where the watch cannot count them."""


def memory_breach(processes: Sequence[psutil.Process], limits: SandboxLimits) -> str:
    """Why the sandbox must be ended now, or "". Blocking: call it in a thread."""
    if len(processes) > limits.processes:
        return f"it started more than {limits.processes} processes"
    if sum(map(memory, processes)) > limits.memory_bytes:
        return f"it used more than {limits.memory_bytes // MB} MB of memory"
    if psutil.virtual_memory().available < MEMORY_LEFT:
        return "the server's machine is almost out of memory"
    return ""


def disk_breach(folders: Sequence[Path], limits: SandboxLimits, before: Disk) -> str:
    """The same for files. What was there `before` the call is allowed: code may tidy up a full workspace."""
    try:
        now = disk(folders, limits)
    except Hidden as error:
        return str(error)
    if now.space > max(limits.workspace_bytes, before.space):
        return f"its files took more than {limits.workspace_bytes // MB} MB"
    if now.entries > max(limits.workspace_files, before.entries):
        return f"it wrote more than {limits.workspace_files} files"
    if shutil.disk_usage(folders[0]).free < DISK_LEFT:
        return "the server's disk is almost full"
    return ""


def memory(process: psutil.Process) -> int:
    """Resident bytes, those shared with other processes counted in part. 0 once it has ended."""
    try:
        return int(getattr(process.memory_full_info(), "pss", 0)) or int(process.memory_info().rss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def disk(folders: Sequence[Path], limits: SandboxLimits) -> Disk:
    """Counted until a little over the limit. Raises Hidden."""
    found = [entry for folder in folders for entry in workspace.walk(folder, 2 * limits.workspace_files, _unreadable)]
    if any(entry.name.count("/") >= workspace.DEPTH for entry in found):
        raise Hidden(f"its folders were nested more than {workspace.DEPTH} deep")
    return Disk(sum(entry.space for entry in found), len(found))


def _unreadable(error: OSError) -> None:
    if isinstance(error, PermissionError):
        raise Hidden("it made a folder that the server cannot look into")


if __name__ == "__main__":
    me = psutil.Process()
    print("memory", memory(me) // 1024, "kB;", memory_breach([me], SandboxLimits()) or "all is well")
    print(disk([Path()], SandboxLimits()))
