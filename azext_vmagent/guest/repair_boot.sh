# The actions on a boot that stopped in a maintenance shell; a part of repair.sh.
# shellcheck shell=sh disable=SC2154,SC2034 # what repair.sh sets and reads

fstab=/etc/fstab

# The fields of a line of a file, each apart by one blank: FILE NUMBER. A line's own text goes nowhere but into comparisons.
fields() { awk -v at="$2" 'NR == at { $1 = $1; print; exit }' "$1"; }

# The same fields with nofail among the options.
with_nofail() { TEXT=$1 awk 'BEGIN { $0 = ENVIRON["TEXT"]; $4 = $4 ",nofail"; print }' </dev/null; }

# NUMBER TEXT MOUNT: the line of /etc/fstab, its fields as they were seen, and where it mounts
fstab_line() {
    number=$1 text=$2
    case $number in '' | 0* | *[!0-9]*) return 1 ;; esac
    case $3 in / | /usr | /etc | /var | /var/lib | /boot | /boot/* | /bin | /sbin | /lib* | /dev* | /proc* | /sys* | /run*) detail='the system needs it'; return 1 ;; esac
    if [ -L $fstab ] || [ ! -f $fstab ]; then detail="$fstab is no plain file"; return 2; fi
    wanted=$(with_nofail "$text")
    case $phase in
        precheck)
            now=$(fields $fstab "$number")
            [ "$now" != "$wanted" ] || { detail='already so'; return 3; }
            [ "$now" = "$text" ] || { detail="line $number is no longer as in the plan"; return 2; }
            unit=$(systemd-escape -p --suffix=mount -- "$3") || { detail='there is no systemd'; return 1; }
            [ "$(systemctl show -p ActiveState -- "$unit")" != ActiveState=active ] || { detail='it is mounted'; return 3; }
            ;;
        backup) cp -p $fstab "$dir/$n.fstab" ;;
        apply)
            new_fstab sed "$number"'s/^\([[:space:]]*\([^[:space:]][^[:space:]]*[[:space:]][[:space:]]*\)\{3\}[^[:space:]][^[:space:]]*\)/\1,nofail/' $fstab
            ;;
        verify)
            unit=$(systemd-escape -p --suffix=mount -- "$3")
            [ "$(fields $fstab "$number")" = "$wanted" ] || return 1
            case $(systemctl show -p RequiredBy -- "$unit") in *local-fs.target*) detail='the boot still waits for it'; return 1 ;; esac
            detail='the boot does not wait for it'
            ;;
        undo)
            at_line=$(WANTED=$wanted awk '{ $1 = $1 } $0 == ENVIRON["WANTED"] { print NR; exit }' $fstab)
            [ -n "$at_line" ] || { detail='it is not there any more'; return 3; }
            # shellcheck disable=SC2016 # awk's own
            new_fstab awk -v at="$at_line" -v from="$number" 'FILENAME == ARGV[1] { if (FNR == from) was = $0; next } FNR == at { $0 = was } { print }' "$dir/$n.fstab" $fstab
            ;;
    esac
}

# What the command prints becomes /etc/fstab, at once and with the old file's owner and mode; systemd reads it anew.
new_fstab() {
    if ! cp -p $fstab $fstab.vmagent || ! "$@" >$fstab.vmagent || [ ! -s $fstab.vmagent ] || ! mv -f $fstab.vmagent $fstab; then
        rm -f $fstab.vmagent
        return 1
    fi
    sync
    systemctl daemon-reload
}

# The boot goes on when the maintenance shell ends, which whoever opened it does: no change that could be taken back.
continue_boot() {
    detail='the boot did not stop'
    if systemctl -q is-active emergency.service || systemctl -q is-active rescue.service; then detail='then leave this shell: exit'; fi
    return 3
}
