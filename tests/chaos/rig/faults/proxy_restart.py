"""SIGTERM of a proxy and its start."""

from rig.faults import restart
from rig.faults.base import ProxyFault


class Fault(ProxyFault, restart.Fault):
    NAME = "proxy-restart"
