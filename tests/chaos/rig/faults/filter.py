"""Rules that drop packets on one host, in a table of their own, so that several do not know of each other."""

import itertools

numbers = itertools.count(1)


class Filter:
    def __init__(self, rig, host):
        self.rig, self.host, self.table = rig, host, f"chaos{next(numbers)}"
        self.is_there = False

    def drop(self, peers, comes_in=True, goes_out=True, percent=100, refuse=False):
        """`peers`: their addresses; None: all. `refuse`: who connects to them hears so at once."""
        chance = "" if percent == 100 else f"numgen random mod 100 < {percent} "
        chains = ""
        for wanted, hook, side in ((comes_in, "input", "saddr"), (goes_out, "output", "daddr")):
            if wanted:
                whom = f'{"iifname" if hook == "input" else "oifname"} "eth0" '  # a refusal comes by "lo"
                if peers is not None:
                    whom += f"ip {side} {{ {', '.join(peers)} }} "
                said = f"{whom}meta l4proto tcp reject with tcp reset; " if refuse and hook == "output" else ""
                chains += f"chain {hook} {{ type filter hook {hook} priority 0; {said}{whom}{chance}drop; }}\n"
        self.rig.net.nft(self.host, f"table inet {self.table} {{\n{chains}}}\n")
        self.is_there = True

    def remove(self):
        if self.is_there:
            self.rig.net.nft(self.host, f"delete table inet {self.table}\n")
        self.is_there = False
