#!/bin/busybox sh
# The guest's init. It counts: ten times a second in memory, once a second on disk and on the console.
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /data /config /var/run
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox --install -s /bin
export PATH=/bin:/sbin
for module in virtio_pci virtio_blk virtio_net virtio_console ext4 ata_piix sr_mod isofs button evdev; do
    modprobe "$module"
done
mount -t ext4 /dev/vda2 /data || mount -t ext4 /dev/vda /data
boots=$(( $(cat /data/boots 2>/dev/null || echo 0) + 1 ))
echo "$boots" > /data/boots
sync
mount -t iso9660 -o ro /dev/sr0 /config 2>/dev/null
ip link set lo up
network=/config/openstack/latest/network_data.json
if [ -r "$network" ]; then
    address=$(sed -n 's/.*"ip_address": *"\([0-9.]*\)".*/\1/p' "$network")
    ip link set eth0 up
    ip address add "$address/24" dev eth0
fi
if [ -x /bin/qemu-ga ]; then
    for port in /sys/class/virtio-ports/*; do
        if [ "$(cat "$port/name")" = org.qemu.guest_agent.0 ]; then
            qemu-ga -F/sbin/fsfreeze-hook -m virtio-serial -p "/dev/${port##*/}" >/dev/null 2>&1 &
        fi
    done
fi
(
    for event in /dev/input/event*; do
        # an ACPI power button, pressed by whoever shuts the guest down
        [ -r "$event" ] && { head -c 24 "$event" >/dev/null && shutdown; } &
    done
)
echo "GUEST-READY boots=$boots uptime=$(cut -d' ' -f1 /proc/uptime) address=${address:-none}"
# Waiting by a read that nothing answers: the shell does it itself, where every usleep would be a process more.
mkfifo /tmp/tick
exec 3<>/tmp/tick
count=0
while true; do
    count=$((count + 1))
    echo "$count" > /tmp/counter
    if [ $((count % 10)) = 0 ]; then
        echo "$count" > /data/counter
        echo "COUNT $count boots=$boots"
    fi
    read -t 0.1 -r _ <&3
done
