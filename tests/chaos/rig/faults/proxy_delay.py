"""A proxy's packets come late: those of its nodes, and those of its clients."""

from rig.faults import delay
from rig.faults.base import ProxyFault


class Fault(ProxyFault, delay.Fault):
    NAME = "proxy-delay"
    WEIGHT = 1
