# Nobody listens to the kernel's events here, so LVM and device-mapper make their nodes themselves. Nobody looks into new
# devices either, so LVM need not try again and again what is in use; and emulated memory is slow to be locked.
cat >/etc/lvm/lvm.conf <<'LVM'
activation { udev_sync=0 udev_rules=0 monitoring=0 retry_deactivation=0 reserved_memory=512 }
devices { use_devicesfile=0 obtain_device_list_from_udev=0 external_device_info_source="none" }
backup { backup=0 archive=0 }
LVM
export DM_DISABLE_UDEV=1
