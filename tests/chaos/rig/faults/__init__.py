"""The faults, a class of them in each module (in damage.py several). Each is drawn from the seed, does its harm with
`start`, and mends it with `undo`, whatever else happened in between."""

from rig.faults import clock, clock_lead, damage, delay, disk_full, disks_full, io_error, kill, kill_all, loss, \
    partition, pause, power, proxy_cut, proxy_delay, proxy_kill, proxy_pause, proxy_restart, reset, restart, slow, split

MODULES = [kill, kill_all, pause, restart, partition, split, reset, loss, slow, delay, clock, clock_lead, disk_full,
           disks_full, io_error, power, proxy_kill, proxy_restart, proxy_cut, proxy_pause, proxy_delay]
FAULTS = {f.NAME: f for f in [*(m.Fault for m in MODULES), *damage.FAULTS]}
