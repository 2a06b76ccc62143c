"""SIGKILL of a proxy; its clients see that, and what they held is ready again."""

from rig.faults import kill
from rig.faults.base import ProxyFault


class Fault(ProxyFault, kill.Fault):
    NAME = "proxy-kill"
    WEIGHT = 1
    HIGH = 4.0
