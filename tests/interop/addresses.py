"""Addresses and ports of this run's own, so that tests running at the same time never meet."""

import os
import random
import socket

# All of 127.0.0.0/8 is this host; 127.0.x.y is left to everybody else.
_network = random.SystemRandom().randrange(16, 255)
_next = random.SystemRandom().randrange(0, 200) * 256 + os.getpid() % 200


def fresh():
    """Another loopback address at each call."""
    global _next
    _next += 1
    return f"127.{_network}.{_next // 256 % 256}.{_next % 254 + 1}"


def free_port(*addresses):
    """A port that is free on all these addresses."""
    for _ in range(100):
        with socket.socket() as first:
            first.bind((addresses[0], 0))
            port = first.getsockname()[1]
        if all(is_free(one, port) for one in addresses):
            return port
    raise OSError(f"no port is free on all of {', '.join(addresses)}")


def is_free(host, port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def answers(host, port):
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
