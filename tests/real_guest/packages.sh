# A package source that the guest reaches, with the agent and openssl as they are installed; the mirrors are out of its reach.
set -e
source=/srv/packages
mkdir -p $source
cd $source
for name in waagent openssl; do
    root=/var/tmp/$name
    mkdir -p "$root/DEBIAN"
    dpkg -L $name | while IFS= read -r file; do [ -d "$file" ] || [ ! -e "$file" ] || echo "${file#/}"; done |
        tar -C / -cf - -T - | tar -C "$root" -xf -
    dpkg-query -s $name | awk '/^[^ ]/ { skip = /^(Status|Conffiles):/ } !skip' >"$root/DEBIAN/control"
    for part in conffiles preinst postinst prerm postrm; do
        if [ -e /var/lib/dpkg/info/$name.$part ]; then cp -a /var/lib/dpkg/info/$name.$part "$root/DEBIAN/$part"; fi
    done
    dpkg-deb -Zgzip --root-owner-group -b "$root" $name.deb >/dev/null
    rm -r "$root"
    cat <<EOF
$(dpkg-deb -f $name.deb)
Filename: ./$name.deb
Size: $(stat -c %s $name.deb)
SHA256: $(sha256sum $name.deb | cut -d ' ' -f 1)

EOF
done >Packages
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
echo "deb [trusted=yes] file:$source ./" >/etc/apt/sources.list
apt-get -q update >/dev/null
