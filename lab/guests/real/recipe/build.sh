#!/bin/sh
# Builds the guest's disk: build.sh RECIPE KEY.PUB OUT
# Leaves OUT/disk.qcow2, OUT/vmlinuz and OUT/initrd. Needs root, mmdebstrap, e2fsprogs and qemu-utils; no loop mount.
set -eu
recipe=$1 key=$2 out=$3
root=$out/root

# A Debian 12 machine's own sources name the mirror it is meant to use; elsewhere mmdebstrap's default is right.
sources=
for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
    if [ -s "$file" ] && grep -q bookworm "$file"; then sources="$sources $file"; fi
done

mmdebstrap --mode=root --variant=minbase \
    --include="$(paste -sd, "$recipe/packages.txt")" \
    --aptopt='Acquire::Languages "none"' \
    --aptopt='Acquire::Retries "3"' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' \
    --customize-hook="cp -a --no-preserve=ownership '$recipe/overlay/.' \"\$1\"" \
    --customize-hook="install -D -m 600 '$key' \"\$1/root/.ssh/authorized_keys\"" \
    --customize-hook="copy-in '$recipe/customize.sh' /tmp" \
    --customize-hook='chroot "$1" sh /tmp/customize.sh' \
    --customize-hook='rm "$1/tmp/customize.sh"' \
    bookworm "$root" $sources

mv "$root/boot/initrd.lab" "$out/initrd"
cp "$root"/boot/vmlinuz-* "$out/vmlinuz"
truncate -s 4G "$out/disk.raw"
mke2fs -q -t ext4 -F -d "$root" "$out/disk.raw"
qemu-img convert -O qcow2 "$out/disk.raw" "$out/disk.qcow2"
rm -rf "$out/disk.raw" "$root"
