"""What this process has open, and what each descriptor is."""

from __future__ import annotations

import os
import resource
import socket


def open_fds() -> dict[int, str]:
    """Every open descriptor with what the kernel calls it, for instance `socket:[4711]`."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
    return found


def describe(fd: int, link: str) -> str:
    """A line for a human who has to find out who left this descriptor open."""
    if not link.startswith("socket:"):
        return f"fd {fd}: {link}"
    try:
        with socket.socket(fileno=os.dup(fd)) as sock:
            text = f"{sock.family.name} {sock.type.name} at {sock.getsockname()!r}"
            try:
                text += f" connected to {sock.getpeername()!r}"
            except OSError:
                text += " not connected"
    except OSError as exc:
        text = f"not inspectable: {exc}"
    return f"fd {fd}: {link} {text}"


def new_since(before: dict[int, str]) -> list[str]:
    """Descriptors that were not open, or were something else, when `before` was taken."""
    return [describe(fd, link) for fd, link in open_fds().items() if before.get(fd) != link]


def room_for(count: int) -> bool:
    """Whether the soft limit leaves room for so many more descriptors."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft == resource.RLIM_INFINITY or len(open_fds()) + count + 32 < soft
