"""A pair of veth interfaces, and frames for it: for the tests of live ports beside it."""
import os
import struct
import subprocess

from stack import skip


class Wire:
    """A veth pair: what goes into `self.near` comes out of `self.far`. number: of several at once."""

    def __init__(self, number=0):
        self.near, self.far = (f'ml{os.getpid() % 10000}{"" if number == 0 else f"n{number}"}{end}' for end in 'ab')

    def __enter__(self):
        self.plug()
        return self

    def plug(self):
        try:
            for command in (f'ip link add {self.near} type veth peer name {self.far}',
                            f'sysctl -q -w net.ipv6.conf.{self.near}.disable_ipv6=1',
                            f'sysctl -q -w net.ipv6.conf.{self.far}.disable_ipv6=1',
                            f'ip link set {self.near} arp off up', f'ip link set {self.far} arp off up'):
                subprocess.run(command.split(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        except subprocess.CalledProcessError as error:
            skip(f'no veth here: {error.stderr.decode().strip()}')

    def set(self, state):
        """The other end's link: up or down."""
        subprocess.run(['ip', 'link', 'set', self.near, state], check=True)

    def pull(self):
        subprocess.run(['ip', 'link', 'del', self.near], stderr=subprocess.DEVNULL, check=False)

    def __exit__(self, *_):
        self.pull()


def frame(number):
    """An ARP request whose sender address is the number: the sensor makes an event of each."""
    sender = struct.pack('>I', 10 << 24 | number)
    return (b'\xff' * 6 + b'\x02\0\0\0\0\1' + b'\x08\x06' + b'\0\1\x08\0\x06\x04\0\1' + b'\x02\0\0\0\0\1' + sender +
            b'\0' * 6 + b'\x0a\xff\xff\xff').ljust(60, b'\0')
