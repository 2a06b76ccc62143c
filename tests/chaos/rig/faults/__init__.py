"""The faults, a class of them in each module. Each is drawn from the seed, does its harm with `start`, and mends it
with `undo`, whatever else happened in between."""

from rig.faults import clock, delay, disk_full, io_error, kill, kill_all, loss, partition, pause, power, proxy_cut, \
    proxy_delay, proxy_kill, proxy_pause, proxy_restart, restart, slow

MODULES = [kill, kill_all, pause, restart, partition, loss, slow, delay, clock, disk_full, io_error, power, proxy_kill,
           proxy_restart, proxy_cut, proxy_pause, proxy_delay]
FAULTS = {m.Fault.NAME: m.Fault for m in MODULES}
