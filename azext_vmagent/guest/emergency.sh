#!/bin/sh
# Looks at a boot that stopped in a maintenance shell: where it stands, what failed, and each line of /etc/fstab with what
# systemd and the kernel make of it. Reads only. POSIX sh (dash, busybox ash, bash); wants root.
# Answers with one fact a line between `vmagent-stop 1` and `end SECONDS 0 CHECKSUM`.

LC_ALL=C PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
exec 2>/dev/null
started=$(date +%s) said=''
newline='
'

say() {
    line=$(printf '%s' "$*" | tr -cd ' -~' | cut -c 1-1000)
    said="$said$line$newline"
    printf '%s\n' "$line"
}

# The block device that the first field of a line names; nothing for what is no device.
device() {
    case $1 in
        UUID=* | LABEL=* | PARTUUID=* | PARTLABEL=*) findfs "$(printf '%s' "$1" | tr -d '"')" || echo absent ;;
        /dev/*) if [ -b "$1" ]; then echo "$1"; else echo absent; fi ;;
    esac
}

# NUMBER TEXT, where the fields of the text are apart by one blank each: what is known of its mount
look_at() {
    number=$1 text=$2
    set -f
    # shellcheck disable=SC2086 # its fields
    set -- $text
    set +f
    case $#:$2 in [4-9]:/* | [1-9][0-9]:/*) ;; *) say "line $number other - - - - $text"; return ;; esac
    unit=$(systemd-escape -p --suffix=mount -- "$2")
    shown=$(systemctl show -p ActiveState -p Result -p RequiredBy -- "$unit" | tr '\n' ' ')
    case $shown in *RequiredBy=*local-fs.target*) need=required ;; *) need=optional ;; esac
    state=${shown#*ActiveState=} result=${shown#*Result=}
    dev=$(device "$1")
    case $dev in
        '') source=none type=- ;;
        absent) source=absent type=- ;;
        *) source=there type=$(blkid -p -o value -s TYPE -- "$dev" | tr -cd 'A-Za-z0-9_.-') ;;
    esac
    say "line $number $need ${state%% *} ${result%% *} $source:${type:--} $text"
}

echo 'vmagent-stop 1'
say "uid $(id -u)"
for service in emergency rescue; do
    if [ "$(systemctl is-active $service.service)" = active ]; then say "stage $service"; fi
done
say "root $(awk '$2 == "/" { options = $4 } END { print (options ~ /^ro(,|$)/ ? "ro" : "rw") }' /proc/mounts)"
if [ -L /etc/fstab ] || [ ! -f /etc/fstab ]; then say 'fstab no plain file'; fi
for unit in $(systemctl list-units --failed --plain --no-legend --no-pager | awk 'NR <= 12 { print $1 }'); do say "failed $unit"; done
while IFS= read -r entry; do look_at "${entry%% *}" "${entry#* }"; done <<END_OF_FSTAB
$(awk 'NR <= 400 && NF && $1 !~ /^#/ && n++ < 40 { $1 = $1; print NR " " $0 }' /etc/fstab)
END_OF_FSTAB
sum=$(printf '%s' "$said" | cksum) || sum=-
printf 'end %s 0 %s\n' $(($(date +%s) - started)) "${sum%% *}"
