"""Free TCP ports on 127.0.0.1."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Sequence

HOST = "127.0.0.1"
OURS = range(20_000, 32_000)
"""Below the ports that systems give to outgoing connections. A client that keeps trying a port of that range while its
server is down will at some time connect to itself and keep the server from coming back."""


class PortInUseError(Exception):
    """Somebody else listens on a port that was asked for."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(f"port {port} for {name} is in use; stop what listens there or choose another base port")
        self.port = port
        self.name = name


def is_free(port: int) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that linger are no obstacle
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """So many different ports that nobody listens on now."""
    found: list[int] = []
    for port in random.sample(OURS, len(OURS)):
        if len(found) == count:
            break
        if is_free(port):
            found.append(port)
    return found


def free_port() -> int:
    """One port that nobody listens on now."""
    return free_ports(1)[0]


def same_or_free(ports: Sequence[int]) -> list[int]:
    """These ports, those in use replaced by free ones."""
    others = iter(free_ports(2 * len(ports)))
    return [port if is_free(port) else next(other for other in others if other not in ports) for port in ports]


def ports_from(base: int | None, names: Iterable[str]) -> dict[str, int]:
    """A port for each name: base, base + 1, ... in the order of the names, or any free ones without a base."""
    wanted = list(names)
    if base is None:
        return dict(zip(wanted, free_ports(len(wanted)), strict=True))
    ports = {name: base + offset for offset, name in enumerate(wanted)}
    for name, port in ports.items():
        if not is_free(port):
            raise PortInUseError(port, name)
    return ports
