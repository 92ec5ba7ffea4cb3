#!/bin/sh -eu
# Builds the guest image /root/guest/guest.qcow2 of Debian's cloud kernel, busybox and the QEMU guest agent.
# Runs inside the hosts' base tree. The disk boots from a FAT partition and keeps its data on an ext4 one.
cd /root/guest
rm -rf kernel root disk.img
kernel=$(ls linux-image-*.deb)
dpkg-deb -x "$kernel" kernel
image=$(ls kernel/boot/vmlinuz-*)
version=${image#kernel/boot/vmlinuz-}
[ -d kernel/lib ] || ln -s usr/lib kernel/lib
depmod -b kernel "$version"
mkdir -p root/bin root/sbin root/lib root/lib64 root/usr/lib
for module in virtio_pci virtio_blk virtio_net virtio_console ext4 crc32c_generic ata_piix sr_mod isofs button evdev; do
    modprobe -d "$PWD/kernel" -S "$version" --show-depends "$module" 2>/dev/null || echo "$module: builtin" >&2
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u | while read -r file; do
    # relative to the tree, whatever way the path was written
    target=root/lib/modules/$version/${file##*/modules/"$version"/}
    mkdir -p "${target%/*}"
    case $file in
        *.xz) xz -dc "$file" > "${target%.xz}" ;;
        *.zst) zstd -q -dc "$file" > "${target%.zst}" ;;
        *) cp "$file" "$target" ;;
    esac
done
cp kernel/lib/modules/"$version"/modules.order kernel/lib/modules/"$version"/modules.builtin root/lib/modules/"$version"/
depmod -b root "$version"
cp /usr/bin/busybox root/bin/busybox
for program in /usr/sbin/qemu-ga; do
    cp "$program" root/bin/
    ldd "$program" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^[[:space:]]*\(\/lib64[^ ]*\).*/\1/p' | while read -r library; do
        mkdir -p "root${library%/*}"
        cp -L "$library" "root$library"
    done
done
printf '#!/bin/sh\n# whatever is asked (-h, -P, +0): off\nsync\npoweroff -f\n' > root/sbin/shutdown
cp init root/init
# shellcheck disable=SC2016  # for the script, not for this shell
printf '#!/bin/sh\n# called with freeze before the file systems are frozen and with thaw afterwards\necho "FSFREEZE $1" > /dev/ttyS0\n' > root/sbin/fsfreeze-hook
chmod 755 root/init root/sbin/shutdown root/sbin/fsfreeze-hook
(cd root && find . | cpio -o -H newc --quiet | gzip -1) > initrd
cp "$image" vmlinuz
truncate -s 96M disk.img
printf 'label: dos\nstart=2048, size=122880, type=6, bootable\nstart=124928, type=83\n' | sfdisk -q disk.img
dd if=/usr/lib/syslinux/mbr/mbr.bin of=disk.img conv=notrunc bs=440 count=1 status=none
printf 'drive c: file="/root/guest/disk.img" offset=1048576\n' > mtools.conf
export MTOOLS_SKIP_CHECK=1 MTOOLSRC=/root/guest/mtools.conf
mformat -T 122880 -h 16 -s 63 -H 2048 c:
printf 'DEFAULT guest\nLABEL guest\nKERNEL vmlinuz\nINITRD initrd\nAPPEND console=ttyS0 rdinit=/init quiet panic=5 net.ifnames=0 tsc=unstable\n' > syslinux.cfg
mcopy vmlinuz initrd syslinux.cfg c:
syslinux --install --offset 1048576 disk.img
mke2fs -q -F -t ext4 -L data -E offset=$((124928 * 512)) disk.img $(( (96 * 2048 - 124928) / 2 ))k
qemu-img convert -c -O qcow2 disk.img guest.qcow2
rm -rf kernel root disk.img
