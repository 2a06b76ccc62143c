"""SIGSTOP of a proxy. When it wakes up too late, what its clients held may be with others: it must close them before it
says anything (design D3)."""

from rig.faults import pause
from rig.faults.base import ProxyFault


class Fault(ProxyFault, pause.Fault):
    NAME = "proxy-pause"
    WEIGHT = 2
