# The actions on interfaces; a part of repair.sh.
# shellcheck shell=sh

# --- interfaces: NAME; to renew: NAME MANAGER or - -------------------------------------------------------------------------

interface() {
    case $1 in '' | -*) return 1 ;; esac
    ip link show dev "$1" >/dev/null || { detail='there is no such interface'; return 2; }
    case $phase in
        precheck) ! is_up "$1" || { detail='already so'; return 3; } ;;
        backup) ;;
        apply) ip link set dev "$1" up ;;
        verify) for _ in 1 2 3 4 5; do ! is_up "$1" || return 0; sleep 1; done; return 1 ;;
        undo) ip link set dev "$1" down ;;
    esac
}

is_up() { case $(ip -o link show dev "$1") in *[\<,]UP[,\>]*) ;; *) return 1 ;; esac; }

dhcp() {
    device=$1
    case $1 in '' | -*) return 1 ;; esac
    case $phase in
        precheck)
            ip link show dev "$1" >/dev/null || { detail='there is no such interface'; return 2; }
            ! has_lease "$1" || { detail='it has an address and a route'; return 3; }
            [ -n "$(manager "$2")" ] || { detail='nothing here does DHCP'; return 1; }
            ;;
        backup) ;;
        apply)
            by=$(manager "$2")
            case $by in
                networkd) networkctl renew "$1" || networkctl reconfigure "$1" ;;
                NetworkManager) nmcli -w 30 device connect "$1" ;;
                wicked) wicked ifup "$1" ;;
                ifupdown) ifdown --force "$1"; apart ifup --force "$1" ;;
                dhclient) apart dhclient -1 "$1" ;;
                dhcpcd) apart dhcpcd -n "$1" ;;
            esac </dev/null >/dev/null
            ;;
        verify) for _ in 1 2 3 4 5 6 7 8 9 10; do ! has_lease "$1" || return 0; sleep 2; done; detail='no address or no route after 20 s'; return 1 ;;
        undo) detail='a lease is not taken back'; return 3 ;;
    esac
}

has_address() { case $(ip -4 -o addr show dev "$1" scope global) in *' inet '*) ;; *) return 1 ;; esac; }

# An interface that was taken down keeps its address and loses its routes: a lease brings both.
has_lease() { has_address "$1" && ip -4 route show dev "$1" | grep -q -e '^default' -e "^$wire"; }

# A client of DHCP that stays is not to live and die with the login that repaired.
apart() {
    if [ -d /run/systemd/system ] && have systemd-run; then systemd-run --quiet --scope --slice=system.slice -- "$@"; else "$@"; fi
}

# What manages the interface: as the plan says, else what runs here.
manager() {
    case $1 in
        dhclient) if have ifup && [ "$(interfaces "$device")" = dhcp ]; then echo ifupdown; else echo dhclient; fi; return ;;
        networkd | NetworkManager | wicked | ifupdown | dhcpcd) echo "$1"; return ;;
        -) ;;
        *) return ;;
    esac
    if systemctl -q is-active NetworkManager.service; then echo NetworkManager
    elif systemctl -q is-active systemd-networkd.service; then echo networkd
    elif systemctl -q is-active wicked.service; then echo wicked
    elif have ifup && [ -e /etc/network/interfaces ]; then echo ifupdown
    elif have dhclient; then echo dhclient
    elif have dhcpcd; then echo dhcpcd
    fi
}

patient_address() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do ! has_address "$device" || return 0; sleep 2; done
    detail='no address after 20 s'
    return 1
}

# --- DEVICE MANAGER ADDRESS|-: what is set by hand makes way for what the guest's own configuration says, if that is DHCP

back_to_dhcp() {
    device=$1 wanted=$3
    case $1 in '' | -*) return 1 ;; esac
    case $phase in
        precheck)
            ip link show dev "$1" >/dev/null || { detail='there is no such interface'; return 2; }
            by=$(manager "$2")
            [ -n "$by" ] || { detail='nothing here does DHCP'; return 1; }
            ! all_answer || { detail='the Wire Server answers'; return 3; }
            says_dhcp "$by" || { detail="$by is not told to use DHCP"; return 1; }
            detail=$by
            ;;
        backup) addresses >"$dir/$n.addresses" && ip -4 route show dev "$1" >"$dir/$n.routes" ;;
        apply)
            case $(manager "$2") in
                networkd) networkctl reconfigure "$1" ;;
                NetworkManager) nmcli -w 30 connection up ifname "$1" ;;
                wicked) wicked ifdown "$1"; wicked ifup "$1" ;;
                ifupdown) ifdown --force "$1"; bare; apart ifup --force "$1" ;;
                dhclient) bare; apart dhclient -1 "$1" ;;
                dhcpcd) bare; apart dhcpcd -n "$1" ;;
            esac </dev/null >/dev/null
            patient_address
            ;;
        verify)
            for _ in 1 2 3 4 5; do ! as_given || return 0; sleep 2; done
            detail='not the address or the route of Azure'
            return 1
            ;;
        undo)
            ip link set dev "$1" up
            addresses >"$dir/$n.now"
            while IFS= read -r one; do grep -qFx -- "$one" "$dir/$n.addresses" || ip -4 addr del "$one" dev "$1"; done <"$dir/$n.now"
            while IFS= read -r one; do grep -qFx -- "$one" "$dir/$n.now" || ip -4 addr add "$one" brd + dev "$1"; done <"$dir/$n.addresses"
            ip -4 route show dev "$1" | grep -vFx -f "$dir/$n.routes" | route_lines del "$1"
            grep 'scope link' "$dir/$n.routes" | route_lines replace "$1"
            grep -v 'scope link' "$dir/$n.routes" | route_lines replace "$1"
            [ "$(addresses)" = "$(cat "$dir/$n.addresses")" ]
            ;;
    esac
}

# The interface without its addresses, and so without its routes.
bare() { for one in $(addresses); do ip -4 addr del "$one" dev "$device"; done; }

# Each line is words of the kernel's own listing, and each word one argument.
route_lines() {
    set -f
    while IFS= read -r one; do
        one=${one% linkdown}
        # shellcheck disable=SC2086 # words of a route
        ip -4 route "$1" $one dev "$2"
    done
    set +f
}

addresses() { ip -4 -o addr show dev "$device" scope global | sed -n 's/.* inet \([0-9./]*\) .*/\1/p'; }

as_given() {
    [ -n "$(ip -4 route show default)" ] || return 1
    case $wanted in -) has_address "$device" ;; *) addresses | grep -q "^$(printf '%s' "$wanted" | sed 's/\./\\./g')/" ;; esac
}

# Whether the configuration that this manager reads has DHCP for the interface, and no address of its own.
says_dhcp() {
    case $1 in
        ifupdown) [ "$(interfaces "$device")" = dhcp ] ;;
        NetworkManager)
            uuid=$(nmcli -g GENERAL.CON-UUID device show "$device")
            [ "$(nmcli -g ipv4.method connection show uuid "$uuid")" = auto ] && [ -z "$(nmcli -g ipv4.addresses connection show uuid "$uuid")" ]
            ;;
        networkd)
            read -r at_link <"/sys/class/net/$device/ifindex"
            file=$(sed -n 's/^NETWORK_FILE=//p' "/run/systemd/netif/links/$at_link")
            [ -f "$file" ] && cat "$file" "/etc/systemd/network/${file##*/}.d"/*.conf "/run/systemd/network/${file##*/}.d"/*.conf 2>/dev/null |
                awk '/^[ \t]*DHCP[ \t]*=[ \t]*(yes|true|ipv4)/ { yes = 1 } /^[ \t]*(Address|Gateway)[ \t]*=/ { own = 1 } END { exit !yes || own }'
            ;;
        wicked | dhclient) grep -Eqs "^BOOTPROTO=[\"']?dhcp4?[\"']?\$" "/etc/sysconfig/network/ifcfg-$device" "/etc/sysconfig/network-scripts/ifcfg-$device" ;;
        *) return 1 ;;
    esac
}

# What ifupdown is told: dhcp, static, ...; nothing where it is told nothing or several things.
interfaces() { cat /etc/network/interfaces /etc/network/interfaces.d/* 2>/dev/null | awk -v device="$1" '$1 == "iface" && $2 == device && $3 == "inet" { n++; how = $4 } END { if (n == 1) print how }'; }
