# Nobody listens to the kernel's events here, so LVM and device-mapper make their nodes themselves.
cat >/etc/lvm/lvm.conf <<'LVM'
activation { udev_sync=0 udev_rules=0 monitoring=0 }
devices { use_devicesfile=0 obtain_device_list_from_udev=0 external_device_info_source="none" }
backup { backup=0 archive=0 }
LVM
export DM_DISABLE_UDEV=1
