"""Sockets as both worlds use them."""

from __future__ import annotations

import socket

import pytest

from wlsmtp import Network
from wlsmtp.io.sockets import UNSENT, open_socket


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="this system has no such option")
def test_the_system_takes_little_ahead_so_that_a_slow_reader_is_seen_to_read() -> None:
    with open_socket(socket.AF_INET, Network()) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
