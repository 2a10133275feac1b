"""Ports: free ones where none are asked for, a clear refusal where those asked for are taken."""

import socket
from collections.abc import Iterator

import pytest

from services.local.ports import PortInUseError, free_ports, is_free, ports_from, same_or_free


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    listener = socket.create_server(("127.0.0.1", free_ports(1)[0]))
    yield int(listener.getsockname()[1])
    listener.close()


def test_ports_are_different_and_below_those_of_outgoing_connections() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert max(ports) < 32_000


def test_named_ports_follow_the_base_in_order() -> None:
    base = next(port for port in free_ports(50) if is_free(port + 1))
    assert ports_from(base, ["intake", "billing"]) == {"intake": base, "billing": base + 1}


def test_without_a_base_any_free_ports_are_named() -> None:
    ports = ports_from(None, ["intake", "billing"])
    assert list(ports) == ["intake", "billing"]
    assert len(set(ports.values())) == 2


def test_a_port_in_use_is_refused_by_name(taken: int) -> None:
    with pytest.raises(PortInUseError, match=f"port {taken} for intake"):
        ports_from(taken, ["intake"])


def test_last_times_ports_are_kept_where_they_are_free(taken: int) -> None:
    free = free_ports(1)[0]
    first, second = same_or_free([free, taken])
    assert first == free
    assert second != taken
