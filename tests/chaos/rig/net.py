"""A network of namespaces: one for each host, and one for the bridge between them.

All names begin with a prefix of this run, nothing is made in the namespace of the machine itself, and teardown.py
finds what is left by that prefix.
"""

import os
import pathlib
import secrets

from rig.shell import Failed, run

NETNS = pathlib.Path("/run/netns")
PREFIX = "cbchaos-"
SUBNET = "10.77.0"


def can_make():
    """None, or why network namespaces cannot be made here."""
    name = f"{PREFIX}{os.getpid()}-probe"
    try:
        run("ip", "netns", "add", name)
        run("ip", "netns", "exec", name, "nft", "list", "ruleset")
        return None
    except Failed as error:
        return str(error)
    finally:
        run("ip", "netns", "del", name, check=False)


class Net:
    def __init__(self):
        self.prefix = f"{PREFIX}{os.getpid()}-{secrets.token_hex(2)}-"
        self.switch = self.prefix + "sw"
        self.hosts = {}

    def make(self):
        run("ip", "netns", "add", self.switch)
        run("ip", "-n", self.switch, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", self.switch, "link", "set", "br0", "up")

    def add(self, name, number):
        """A host with an address of its own on the bridge."""
        space, address = self.space(name), f"{SUBNET}.{number}"
        run("ip", "netns", "add", space)
        run("ip", "-n", self.switch, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", space)
        run("ip", "-n", self.switch, "link", "set", name, "master", "br0", "up")
        run("ip", "-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            run("ip", "-n", space, "link", "set", device, "up")
        self.hosts[name] = address
        return address

    def space(self, name):
        return self.prefix + name

    def within(self, name):
        """The words that a command on that host begins with. It has the process id of what it runs, and the mounts
        of the machine, which `ip netns exec` would copy."""
        return ["nsenter", f"--net={NETNS / self.space(name)}", "--"]

    def within_switch(self):
        return ["nsenter", f"--net={NETNS / self.switch}", "--"]

    def break_connections(self, name, peers):
        """Ends that host's TCP connections to these addresses, as if each had been reset."""
        which = f"( {' or '.join(f'dst {p}' for p in peers)} )"
        had = self._connections(name, which)
        run(*self.within(name), "ss", "-K", "-t", which)
        left = had & self._connections(name, which)
        if left:  # ss says nothing of what the kernel did not do
            raise Failed(
                f"ss -K leaves {len(left)} of {len(had)} connections of {name} as they were: this kernel does not "
                "end connections (CONFIG_INET_DIAG_DESTROY)"
            )

    def _connections(self, name, which):
        """The two ends of each."""
        lines = run(*self.within(name), "ss", "-H", "-t", "-n", "state", "established", which).splitlines()
        return {tuple(line.split()[-2:]) for line in lines}

    # ---- a second way from a host to the bridge, see relay.py ----

    def split_link(self, near, far):
        """A pair of devices whose far end is on the bridge. The host is not connected to the near one."""
        run("ip", "-n", self.switch, "link", "add", near, "type", "veth", "peer", "name", far)
        run("ip", "-n", self.switch, "link", "set", far, "master", "br0", "up")
        run("ip", "-n", self.switch, "link", "set", near, "up")

    def join_link(self, near):
        run("ip", "-n", self.switch, "link", "del", near)

    def unplug(self, name):
        run("ip", "-n", self.switch, "link", "set", name, "nomaster")

    def plug(self, name):
        run("ip", "-n", self.switch, "link", "set", name, "master", "br0")

    def nft(self, name, rules):
        run(*self.within(name), "nft", "-f", "-", text=rules)

    def tc(self, name, *words):
        run(*self.within(name), "tc", *words)
