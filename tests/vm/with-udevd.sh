# As on a real host: udevd makes the nodes, probes what appears, and LVM waits for it.
cat >/etc/lvm/lvm.conf <<'LVM'
activation { monitoring=0 }
devices { use_devicesfile=0 }
LVM
/lib/systemd/systemd-udevd --daemon
udevadm trigger --action=add --subsystem-match=block
udevadm settle
