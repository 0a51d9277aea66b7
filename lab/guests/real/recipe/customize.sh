#!/bin/sh
# Runs in the new root: turns a plain Debian 12 into what an Azure image looks like, with the laboratory's side door.
set -eu

echo root:lab | chpasswd
useradd -m -s /bin/bash azureuser
echo azureuser:lab | chpasswd
install -d -m 700 -o azureuser -g azureuser /home/azureuser/.ssh
install -m 600 -o azureuser -g azureuser /root/.ssh/authorized_keys /home/azureuser/.ssh/authorized_keys
chmod 700 /root/.ssh
chmod 440 /etc/sudoers.d/90-lab
chmod 755 /usr/local/sbin/lab-door

sed -i -e 's/^#\?PermitRootLogin.*/PermitRootLogin yes/' -e 's/^#\?UseDNS.*/UseDNS no/' /etc/ssh/sshd_config

# The agent provisions nothing (the image is ready), and protects the Wire Server as Azure's own images let it
# (Debian's package ships OS.EnableFirewall=n).
sed -i -e 's/^OS.EnableFirewall=.*/OS.EnableFirewall=y/' \
       -e 's/^Provisioning.Agent=.*/Provisioning.Agent=disabled/' \
       -e 's/^ResourceDisk.Format=.*/ResourceDisk.Format=n/' \
       -e 's/^Logs.Collect=.*/Logs.Collect=n/' /etc/waagent.conf

systemctl enable walinuxagent.service ssh.service lab-door.service lab-workload.service
systemctl disable ufw.service firewalld.service nftables.service

# Nothing may wake up by itself and disturb a measurement.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
            e2scrub_reap.service; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done

echo 0123456789abcdef0123456789abcdef > /etc/machine-id
: > /etc/resolv.conf
mkdir -p /var/log/journal

# A small initrd halves the boot under emulation.
sed -i -e 's/^MODULES=.*/MODULES=list/' -e 's/^COMPRESS=.*/COMPRESS=zstd/' /etc/initramfs-tools/initramfs.conf
mkinitramfs -o /boot/initrd.lab "$(ls /lib/modules)"
