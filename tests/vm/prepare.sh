# The first words inside the machine: what a distribution's boot would have done, for the tests' own kernel.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mkdir -p /run/lvm /run/lock
modprobe -a dm-mod dm-snapshot dm-thin-pool dm-mirror dm-flakey dm-zero loop ext4 xfs
ip link set lo up 2>/dev/null
