#!/usr/bin/env python3
"""A wire between two interfaces that takes its time: usage: wire.py ONE OTHER FILE. FILE holds the delay in ms, read every 50 ms."""
import collections
import os
import select
import socket
import sys
import time

ETH_P_ALL = 3
FRAME_MAX = 1 << 16


def main():
    ends = []
    for name in sys.argv[1:3]:
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        end.bind((name, 0))
        end.setblocking(False)
        ends.append(end)
    waiting = [collections.deque(), collections.deque()]
    delay_s, looked = 0.0, 0.0
    while True:
        now = time.monotonic()
        if now > looked + 0.05:
            looked = now
            with open(sys.argv[3]) as file:
                delay_s = float(file.read() or 0) / 1000
        due = min((queue[0][0] for queue in waiting if queue), default=now + 0.05)
        select.select(ends, [], [], max(0, min(0.05, due - now)))
        for end, queue in zip(ends, waiting):
            take(end, queue, delay_s)
        for queue, end in zip(waiting, reversed(ends)):
            while queue and queue[0][0] <= time.monotonic():
                try:
                    end.send(queue.popleft()[1])
                except OSError:
                    pass


def take(end, queue, delay_s):
    for _ in range(64):
        try:
            frame, address = end.recvfrom(FRAME_MAX)
        except BlockingIOError:
            return
        # What this process sent out of the interface itself is seen here as well.
        if address[2] != socket.PACKET_OUTGOING:
            # The order is kept when the delay falls.
            queue.append((max(time.monotonic() + delay_s, queue[-1][0] if queue else 0), frame))


if __name__ == '__main__':
    os.nice(-5) if os.geteuid() == 0 else None
    main()
