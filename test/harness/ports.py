"""Ports for the programs that tests start."""
import random
import socket

# Below those that the system gives to connections, of which tests beside this one make many.
FIRST, BEHIND = 20000, 32000
_given = set()


def free_port(kind=socket.SOCK_STREAM):
    """One of 127.0.0.1 that nobody has, and that this program was not given before."""
    while True:
        port = random.randrange(FIRST, BEHIND)
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(('127.0.0.1', port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port
