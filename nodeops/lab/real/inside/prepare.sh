#!/bin/sh -eu
# Makes a compute host of a bare Debian: packages, accounts, settings that all hosts of the lab have in common.
# Runs once, inside the hosts' base tree.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
printf 'force-unsafe-io\nno-debsig\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\npath-exclude=/usr/share/locale/*\n' > /etc/dpkg/dpkg.cfg.d/lab
apt-get -q update
# shellcheck disable=SC2046  # one package a word
apt-get -q install -y --no-install-recommends $(cat /root/packages)
mkdir -p /root/guest
(
    cd /root/guest
    apt-get -q download "$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)"
    sh /root/build-guest.sh
    rm -f linux-image-*
)
apt-get clean
rm -rf /var/lib/apt/lists/* /usr/sbin/policy-rc.d /etc/machine-id /etc/ssh/ssh_host_*

groupadd --system --gid 900 nova
useradd --system --uid 900 --gid 900 --home-dir /var/lib/nova --shell /bin/bash --groups libvirt,kvm nova
groupadd --system --gid 901 neutron
useradd --system --uid 901 --gid 901 --home-dir /var/lib/neutron --shell /usr/sbin/nologin neutron
useradd --create-home --shell /bin/bash --groups sudo,adm,systemd-journal ops
printf 'ops ALL=(ALL) NOPASSWD: ALL\nnova ALL=(root) NOPASSWD: ALL\nneutron ALL=(root) NOPASSWD: ALL\n' > /etc/sudoers.d/lab
for name in nova neutron; do
    install -d -o "$name" -g "$name" -m 755 "/var/lib/$name" "/var/lib/$name/tmp" "/etc/$name"
    install -d -o "$name" -g adm -m 750 "/var/log/$name"
done
install -d -o nova -g nova -m 755 /var/lib/nova/instances /var/lib/nova/mnt
install -d -m 755 /srv/volumes

# programs of OpenStack
echo /opt/openstack > "$(python3 -c 'import site; print(site.getsitepackages()[0])')/openstack.pth"
# compiled now: the accounts that run it cannot write there
python3 -c 'import nova.cmd.compute, nova.compute.manager, nova.virt.libvirt.driver, oslo_messaging._drivers.impl_rabbit'
python3 -c 'import neutron.cmd.plugins.macvtap_neutron_agent, oslo_messaging._drivers.impl_rabbit' 2>/dev/null
for name in nova-compute privsep-helper; do
    sed '1s|.*|#!/usr/bin/python3|' "/opt/openstack/bin/$name" > "/usr/local/bin/$name"
done
printf '#!/bin/sh\nexec python3 /usr/local/lib/lab/macvtap_agent.py "$@"\n' > /usr/local/bin/neutron-macvtap-agent
# volumes come as NFS; on this machine they are in a directory that every host has
# shellcheck disable=SC2016  # for the script, not for this shell
printf '#!/bin/sh\nexec mount --bind "${1#*:}" "$2"\n' > /usr/sbin/mount.nfs
chmod 755 /usr/local/bin/* /usr/sbin/mount.nfs

cat >> /etc/libvirt/qemu.conf <<'END'
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
shared_filesystems = [ "/var/lib/nova/instances", "/var/lib/nova/mnt" ]
END
printf 'auth_tcp = "none"\nlisten_addr = "0.0.0.0"\n' >> /etc/libvirt/libvirtd.conf
mkdir -p /etc/systemd/journald.conf.d /etc/ssh/sshd_config.d
printf '[Journal]\nStorage=persistent\nSystemMaxUse=64M\n' > /etc/systemd/journald.conf.d/lab.conf
printf 'PasswordAuthentication no\nUseDNS no\n' > /etc/ssh/sshd_config.d/lab.conf
rm -f /etc/libvirt/qemu/networks/autostart/*

unit() { cat > "/etc/systemd/system/$1.service"; }
unit lab-sysfs <<'END'
[Unit]
Description=Show the interfaces of this host, not of the machine, in /sys
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -ec 'mkdir -p /run/sysfs; mount -t sysfs sysfs /run/sysfs; for d in class/net devices/virtual/net class/macvtap; do [ ! -d /run/sysfs/$d ] || mount --bind /run/sysfs/$d /sys/$d; done'
[Install]
WantedBy=sysinit.target
END
unit lab-tap-nodes <<'END'
[Unit]
Description=Make /dev/tapN for macvtap devices
Before=libvirtd.service nova-compute.service
[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/lab/tap_nodes.py
Restart=always
[Install]
WantedBy=multi-user.target
END
unit nova-compute <<'END'
[Unit]
Description=OpenStack Compute
After=network.target libvirtd.service lab-tap-nodes.service
Wants=libvirtd.service
[Service]
User=nova
Group=nova
ExecStart=/usr/local/bin/nova-compute --config-file /etc/nova/nova.conf
Restart=on-failure
RestartSec=5
TimeoutStopSec=65
KillMode=mixed
LimitNOFILE=65535
[Install]
WantedBy=multi-user.target
END
unit neutron-macvtap-agent <<'END'
[Unit]
Description=OpenStack Neutron Macvtap Agent
After=network.target lab-sysfs.service
[Service]
User=neutron
Group=neutron
ExecStart=/usr/local/bin/neutron-macvtap-agent --config-file /etc/neutron/neutron.conf
Restart=on-failure
RestartSec=5
TimeoutStopSec=20
[Install]
WantedBy=multi-user.target
END
systemctl enable -q ssh libvirtd-tcp.socket libvirtd.service virtlogd.socket lab-sysfs lab-tap-nodes nova-compute neutron-macvtap-agent
systemctl mask -q systemd-networkd.service systemd-resolved.service libvirt-guests.service \
    e2scrub_reap.service apt-daily.timer apt-daily-upgrade.timer systemd-udev-trigger.service || true
