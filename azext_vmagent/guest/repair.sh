#!/bin/sh
# Carries out one plan in this guest: precheck, back up, apply, verify, and undo what did not take.
#
# Wants root; POSIX sh (dash, busybox ash, bash). The plan comes on main's input, its arguments as octal escapes: they are
# decoded into "$@" and compared or passed as arguments, never made part of a command's text. One argument of main: this
# whole program as text, which is kept for the watchdog; or `watchdog GENERATION`, when it is the watchdog that calls.
# /var/lib/azure-vmagent/lock: PID, boot and start time of who is at work. repairs/ID: plan.N, state, before/, after/, N.*
# Answers with one fact a line between `vmagent-repair 1` and `end SECONDS 0 CHECKSUM`, at most 4,096 bytes.
# What an action's functions return: 0 ok, 1 failed, 2 the guest is no longer as in the plan, 3 nothing to do.

wire=168.63.129.16
base=/var/lib/azure-vmagent
newline='
'

have() { command -v "$1" >/dev/null 2>&1; }

# One line of the answer: printable, too short for a terminal to break.
say() {
    line=$(printf '%s' "$*" | tr -cd ' -~' | cut -c 1-58)
    line=${line%"${line##*[! ]}"}
    said="$said$line$newline"
    printf '%s\n' "$line" 2>/dev/null
}

finish() {
    say "result $1"
    sum=$(printf '%s' "$said" | cksum 2>/dev/null) || sum=-
    printf 'end %s 0 %s\n' $(($(date +%s) - started)) "${sum%% *}" 2>/dev/null
    case $1 in applied* | undone | nothing-to-do) exit 0 ;; *) exit 1 ;; esac
}

mark() { printf '%s\n' "$*" >>"$dir/state"; }
marked() { grep -q -- "^$1\$" "$dir/state" 2>/dev/null; }

# --- the lock -------------------------------------------------------------------------------------------------------

# When a process began; nothing for one that is gone or only waits to be buried.
born() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }'; }

# A stale one (its process is dead, or of another boot) is moved away and looked at again: two may find it at once.
lock() {
    read -r boot </proc/sys/kernel/random/boot_id
    who=$(printf '%s' "${SUDO_USER:-root}" | tr -cd 'A-Za-z0-9._-' | cut -c 1-20)
    echo "$$ $boot $(born $$) $who" >"$base/lock.$$" || return 1
    for _ in 1 2 3; do
        if ln "$base/lock.$$" "$base/lock" 2>/dev/null; then
            rm -f "$base/lock.$$"
            trap 'rm -f "$base/lock"' EXIT
            trap 'exit 1' INT TERM
            return 0
        fi
        read -r pid when birth who <"$base/lock" || continue
        [ "$when" != "$boot" ] || [ "$(born "$pid")" != "$birth" ] || break
        mv "$base/lock" "$base/stale.$$" 2>/dev/null || continue
        read -r was <"$base/stale.$$"
        [ "$was" = "$pid $when $birth${who:+ $who}" ] || ln "$base/stale.$$" "$base/lock"
        rm -f "$base/stale.$$"
    done
    rm -f "$base/lock.$$"
    say "locked $pid $(stat -c %Y "$base/lock") ${who:-root}"
    return 1
}

# --- the watchdog ---------------------------------------------------------------------------------------------------
# Whoever makes the folder settled.GENERATION first decides: the program keeps the change, or the watchdog takes it back.

settle() { mkdir "$dir/settled.$generation" 2>/dev/null; }

arm() {
    generation=1
    while [ -e "$dir/armed.$generation" ]; do generation=$((generation + 1)); done
    true >"$dir/armed.$generation" || return 1
    if [ -d /run/systemd/system ] && have systemd-run && systemd-run --quiet --on-active="$watchdog" \
        --timer-property=AccuracySec=1s --unit="vmagent-repair-$name-$generation" \
        /bin/sh "$dir/program" watchdog "$generation" </dev/null; then return 0; fi
    # shellcheck disable=SC2016 # the inner shell expands these
    set -- sh -c 'sleep "$1"; exec sh "$2" watchdog "$3"' vmagent-watchdog "$watchdog" "$dir/program" "$generation"
    if have setsid; then setsid "$@" </dev/null >/dev/null 2>&1 & else nohup "$@" </dev/null >/dev/null 2>&1 & fi
}

watch() {
    dir=$(dirname "$0") generation=$2
    exec 2>>"$dir/errors"
    settle || exit 0
    mark reverting
    take_back network
    mark reverted
}

# --- what every action uses -----------------------------------------------------------------------------------------

# act PHASE N: the action's own function with its arguments. Control characters have no business in any of them.
act() {
    phase=$1 n=$2 detail=''
    set --
    while IFS= read -r line; do
        word=$(printf '%b.' "$line")
        word=${word%.}
        case $word in *[!\ -~]*) detail='an argument is not printable'; return 1 ;; esac
        set -- "$@" "$word"
    done <"$dir/plan.$n"
    kind=$1
    shift
    case $kind in
        start-agent | enable-agent | unmask-agent | reset-start-limit | thaw-agent | restart-agent) service "$@" ;;
        remove-disable-file) disable_file ;;
        restore-executable) executable "$@" ;;
        reinstall-agent) reinstall "$@" ;;
        remove-unit-setting) setting "$@" ;;
        remove-rule | allow-wire-server)
            tool=$1
            shift
            case $kind:$tool in
                *:iptables) in_iptables "$@" ;;
                *:nft) in_nft "$@" ;;
                *:ufw) in_ufw "$@" ;;
                remove-rule:firewalld-panic) panic ;;
                remove-rule:firewalld-*) in_firewalld "$@" ;;
                allow-wire-server:firewalld-policy) allow_in_policy "$@" ;;
                *) detail='no such tool'; return 1 ;;
            esac
            ;;
        remove-route) route "$@" ;;
        remove-policy-rule) policy_rule "$@" ;;
        interface-up) interface "$@" ;;
        renew-dhcp) dhcp "$@" ;;
        back-to-dhcp) back_to_dhcp "$@" ;;
        fstab-line-harmless) fstab_line "$@" ;;
        continue-boot) continue_boot ;;
        *) detail='no such action'; return 1 ;;
    esac
}

# Rules and routes: what may cut a guest off. An interface that was brought up is not taken down by itself.
is_network() {
    case $(kind_of "$1") in remove-r* | remove-policy-rule | allow-wire-server | back-to-dhcp) return 0 ;; esac
    return 1
}

kind_of() { printf '%b' "$(head -n 1 "$dir/plan.$1")"; }
numbers() { sort "$1" "$dir/numbers"; }
planned() { for one in $(numbers -n); do [ "$(kind_of "$one")" != "$1" ] || return 0; done; return 1; }

# Takes the actions back that were begun, the last one first; all of them, or those about the network.
take_back() {
    taken=0
    for at in $(numbers -rn); do
        if ! marked "applying $at" || marked "undone $at"; then continue; fi
        [ "$1" = all ] || is_network "$at" || continue
        act undo "$at"
        case $? in
            0) say "step $at undo ok $detail"; mark "undone $at" ;;
            3) say "step $at undo skipped $detail"; mark "undone $at" ;;
            *) say "step $at undo failed $detail"; taken=1 ;;
        esac
    done
    return $taken
}

# Whether root gets any answer from the Wire Server on this port; $status is its HTTP status.
answers() {
    case $1 in 80) path='/?comp=versions' ;; *) path=/health ;; esac
    if have curl; then
        status=$(curl -q -sS --noproxy '*' -m 3 -o /dev/null -w '%{http_code}' "http://$wire:$1$path")
    elif python=$(command -v python3 || command -v python || command -v /usr/libexec/platform-python); then
        status=$("$python" -c '
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)
s.settimeout(3)
s.sendall(("GET %s HTTP/1.0\r\nHost: %s\r\n\r\n" % (sys.argv[3], sys.argv[1])).encode())
print(s.recv(64).decode("latin-1").split()[1])' "$wire" "$1" "$path")
    elif have wget; then
        status=$(wget -S -T 3 -O /dev/null "http://$wire:$1$path" 2>&1 | sed -n 's/.*HTTP[^ ]* \([1-5][0-9][0-9]\).*/\1/p' | head -n 1)
    else
        status=''
    fi
    case $status in [1-5][0-9][0-9]) return 0 ;; *) status=none; return 1 ;; esac
}

# What the guest's firewalls, routes and addresses are now, without counters, into a folder.
snapshot() {
    mkdir -p "$1" || return 1
    for save in iptables-save ip6tables-save iptables-nft-save iptables-legacy-save ip6tables-legacy-save; do
        case $save in *legacy*) grep -qs . /proc/net/ip_tables_names /proc/net/ip6_tables_names || continue ;; esac
        ! have $save || $save >"$1/$save.raw"
    done
    ! have nft || nft list ruleset >"$1/nft.raw"
    ip -4 route show table all >"$1/route.raw"
    ip -4 rule show >"$1/rule.raw"
    ip addr show >"$1/address"
    [ ! -e /etc/ufw/user.rules ] || { cp -p /etc/ufw/user*.rules "$1"; grep '^### tuple' /etc/ufw/user.rules >"$1/ufw.raw"; }
    if [ -d /etc/firewalld ]; then cp -pR /etc/firewalld "$1"; fi
    if have firewall-cmd && firewall-cmd -q --state; then
        jobs=''
        for scope in '' --permanent; do
            for list in '--direct --get-all-rules' '--direct --get-all-passthroughs' --list-all-zones --list-all-policies; do
                # shellcheck disable=SC2086 # words of ours
                firewall-cmd $scope $list >"$1/firewalld$scope-${list##*--}.raw" </dev/null &
                jobs="$jobs $!"
            done
        done
        # shellcheck disable=SC2086 # numbers of processes
        wait $jobs
    fi
    for file in "$1"/*.raw; do
        sed 's/^\(:[^ ]* [^ ]*\) .*/\1/; /^#/d; s/packets [0-9]* bytes [0-9]*/packets 0 bytes 0/' "$file" >"${file%.raw}.list"
    done
    echo whole >"$1/whole"
}

# Compares two snapshots: in each listing at most $2 lines may be gone and $3 of ours be new, in order and nothing else.
others() {
    for file in "$dir/before"/*.list; do
        [ -e "$file" ] || continue
        case $file in */route.list) ! planned back-to-dhcp || continue ;; esac
        [ -e "$1/${file##*/}" ] || return 1
        calm "$file" | without_the_agents >"$dir/was" && calm "$1/${file##*/}" | without_the_agents >"$dir/is" || return 1
        awk -v gone="$2" -v new="$3" '
            FILENAME == ARGV[1] { was[++n] = $0; next }
            i < n && was[i + 1] == $0 { i++; next }
            new > 0 && /168\.63\.129\.16/ && /[^.0-9](80|32526)([^.0-9]|$)/ && /accept|ACCEPT|allow/ { new--; next }
            { while (i < n && was[i + 1] != $0) { i++; gone-- } if (i < n) i++; else gone = -1 }
            END { exit (gone - (n - i) < 0) }' "$dir/was" "$dir/is" || { echo "${file##*/}" >>"$dir/differs"; return 1; }
    done
}

# A listing without the rules that the agent itself sets at its start and within half a minute of whoever flushed them, and
# without their table where it holds nothing else.
without_the_agents() {
    awk '
        /^[*]security$/ || /^table ip (security|walinuxagent) [{]$/ { inside = 1 }
        /168\.63\.129\.16/ && (inside || / -t security -[AI] OUTPUT /) {
            if (/(port 53|uid-owner 0)( -j ACCEPT)$/ || /(port 53|skuid 0)( counter packets 0 bytes 0)? accept$/) next
            if (/ (INVALID,NEW -j (ACCEPT|DROP)|invalid,new( counter packets 0 bytes 0)? (accept|drop))$/) next
        }
        !inside { print; next }
        { held = held $0 "\n"; if (/^-A / || /^\t\t/ && !/^\t\ttype filter hook /) theirs = 1 }
        /^(COMMIT|[}])$/ { if (theirs) printf "%s", held; held = ""; inside = theirs = 0 }'
}

# A listing without what panic mode itself put there: a table of its own with two empty chains that drop, or, with iptables,
# the policies of all chains (firewalld core/nftables.py and core/ipXtables.py, build_set_policy_rules).
calm() {
    case $panicked:${1##*/} in
        yes:nft.list) awk '
            /^table inet firewalld_policy_drop [{]$/ { panic = 1; next }
            panic && /^}$/ { panic = 0; next }
            panic && (/^$/ || /^\t}$/ || /^\tchain raw_(prerouting|output) [{]$/ || /^\t\ttype filter hook (prerouting|output) priority [^;]*; policy drop;$/) { next }
            { print }' "$1" ;;
        yes:ip*tables*.list) if grep -qs '^FirewallBackend=iptables' /etc/firewalld/firewalld.conf; then sed 's/^\(:[A-Z]*\) [A-Z]*$/\1/' "$1"; else cat "$1"; fi ;;
        *) cat "$1" ;;
    esac
}

# --- the whole -------------------------------------------------------------------------------------------------------

# each PHASE: every action that is to do, in order; stops at the first that fails. What was begun before is not begun again.
each() {
    for at in $todo; do
        case $1 in
            apply)
                act precheck "$at"
                got=$?
                if [ $got = 3 ] && marked "applying $at"; then mark "applied $at"; continue; fi
                if [ "$got" = 0 ]; then mark "applying $at" && act apply "$at"; got=$?; fi
                ;;
            *) act "$1" "$at"; got=$? ;;
        esac
        case $got in
            0) say "step $at $1 ok $detail" ;;
            3) say "step $at $1 skipped $detail"; continue ;;
            2) say "step $at $1 changed $detail"; return 2 ;;
            *) say "step $at $1 failed ${detail:-$(tail -n 1 "$dir/errors")}"; return 1 ;;
        esac
        [ "$1" != apply ] || mark "applied $at"
    done
    return 0
}

# What the Wire Server answers on its two ports, each tried so many times.
reached() {
    patiently 32526 "$1" >"$dir/32526.status" &
    asked=$!
    patiently 80 "$1"
    wait $asked
    cat "$dir/32526.status"
}

patiently() {
    for try in $2; do
        [ "$try" = 1 ] || sleep 1
        ! answers "$1" || break
    done
    echo "$1 $status"
}

# Where this attempt is kept: beside an ended one of the same plan, or in the folder of one that was killed.
place() {
    earlier=''
    [ ! -r "$base/last" ] || read -r earlier <"$base/last"
    case $earlier in *[!A-Za-z0-9.-]*) earlier='' ;; esac
    [ -d "$base/repairs/$earlier" ] || earlier=''
    name=$id
    [ -z "$earlier" ] || {
        dir=$base/repairs/$earlier
        say "last $earlier $(stat -c %Y "$dir/state") $(tail -n 1 "$dir/state")"
        ended || { name=$earlier; unfinished; }
    }
    case $name in "$id" | "$id".[0-9]*) ;; *) name=$id ;; esac
    dir=$base/repairs/$name tries=1
    while ended; do tries=$((tries + 1)) name=$id.$tries dir=$base/repairs/$id.$tries; done
    mkdir -p "$dir" || return 1
}

ended() { grep -Eqs '^(verified|kept|failed|undone|reverted)$' "$dir/state"; }

# An attempt that was killed: its watchdog must not act any more. If it has begun to, it is waited for. A change of another
# plan stays where the Wire Server answers now, and is taken back where it does not.
unfinished() {
    generation=0
    for file in "$dir"/armed.*; do [ ! -e "$file" ] || generation=$((generation + 1)); done
    if [ $generation -gt 0 ] && ! settle; then
        for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 1; if ended || ! marked reverting; then break; fi; done
        if marked reverting && ! ended; then take_back network; mark reverted; fi
    fi
    case $(tail -n 1 "$dir/state") in undone*) take_back all; mark undone ;; esac
    ended || case $earlier in
        "$id" | "$id".[0-9]*) ;;
        *)
            if answers 80 && answers 32526; then mark kept; else take_back network; mark reverted; fi
            say "earlier $earlier $(tail -n 1 "$dir/state")"
            ;;
    esac
}

undo() {
    [ -r "$base/last" ] && read -r name <"$base/last"
    case $name in '' | *[!A-Za-z0-9.-]*) finish nothing-to-do ;; esac
    dir=$base/repairs/$name
    [ -s "$dir/numbers" ] || finish nothing-to-do
    say "repair $name"
    exec 2>>"$dir/errors"
    if marked undone || ! grep -q '^applying' "$dir/state"; then finish nothing-to-do; fi
    for file in "$dir"/armed.*; do [ ! -e "$file" ] || { generation=${file##*.}; settle; }; done
    take_back all || finish failed
    mark undone
    if [ -d "$dir/before" ]; then compare undone 0 0; fi
    finish undone
}

# The last repair, whose plan is kept here: it was killed, and is carried on. One that ended, or was taken back meanwhile, is not.
resume() {
    read -r id <"$base/last" || finish nothing-to-do
    case $id in '' | *[!A-Za-z0-9.-]*) finish nothing-to-do ;; esac
    dir=$base/repairs/$id
    [ -s "$dir/numbers" ] || finish nothing-to-do
    id=${id%%.*}
    if ended; then
        say "last ${dir##*/} $(stat -c %Y "$dir/state") $(tail -n 1 "$dir/state")"
        finish nothing-to-do
    fi
    place || finish no-place
    [ -s "$dir/numbers" ] || { rmdir "$dir"; finish reverted; }
    say "repair $name"
    exec 2>>"$dir/errors"
    carry_out
}

compare() {
    rm -rf "${dir:?}/$1"
    snapshot "$dir/$1"
    if others "$dir/$1" "$2" "$3"; then say 'other-rules same'; else say 'other-rules differ'; fi
}

# The plan: `plan ID WATCHDOG_SECONDS`, or `undo` or `resume` of the last one; `action` and one line of octal escapes for its kind and each argument.
read_plan() {
    read -r word id watchdog
    case $word in plan | undo | resume) ;; *) return 1 ;; esac
    case $id in '' | -* | .* | *[!A-Za-z0-9-]*) return 1 ;; esac
    case $watchdog in '' | *[!0-9]*) return 1 ;; esac
    plan=$(cat)
}

main() {
    LC_ALL=C PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
    export LC_ALL PATH
    umask 077
    trap '' HUP PIPE
    started=$(date +%s) said='' panicked=no
    read_plan || { echo 'vmagent-repair: this is no plan'; exit 1; }
    [ "$1" != watchdog ] || { watch "$@" >/dev/null; exit; }
    printf 'vmagent-repair 1\n' 2>/dev/null
    [ "$(id -u)" = 0 ] || finish not-root
    { mkdir -p "$base/repairs" && [ ! -L $base ] && chmod 700 $base && [ "$(stat -c %u $base)" = 0 ]; } 2>/dev/null || finish no-place
    lock 2>/dev/null || finish locked
    [ "$word" != undo ] || undo
    [ "$word" != resume ] || resume 2>/dev/null
    place 2>/dev/null || finish no-place
    say "repair $name"
    { true >>"$dir/errors" && printf '%s\n' "$1" >"$dir/program" && write_plan; } 2>/dev/null || finish no-place
    exec 2>>"$dir/errors"
    carry_out
}

write_plan() {
    printf '%s\n' "$plan" | awk -v dir="$dir" '/^action/ { n++; print n >(dir "/numbers"); next } n { print >(dir "/plan." n) }'
    [ -s "$dir/numbers" ]
}

# Nothing is changed before every action was looked at and everything is saved.
carry_out() {
    network=no todo='' gone=0 new=0 before='' prechecked=0
    for at in $(numbers -n); do ! is_network "$at" || network=yes; done
    if [ $network = yes ]; then before=$(reached 1); fi
    for at in $(numbers -n); do
        act precheck "$at"
        case $? in
            0) say "step $at precheck ok $detail"; todo="$todo $at" ;;
            3) if marked "applying $at"; then todo="$todo $at"; detail='begun before'; fi; say "step $at precheck skipped $detail" ;;
            2) say "step $at precheck changed $detail"; prechecked=2 ;;
            *) say "step $at precheck failed ${detail:-$(tail -n 1 "$dir/errors")}"; [ $prechecked = 2 ] || prechecked=1 ;;
        esac
    done
    if [ $prechecked != 0 ]; then
        case $before in *none*) take_back network ;; esac
        mark failed
        forget
        if [ $prechecked = 2 ]; then finish changed; else finish failed; fi
    fi
    if [ -z "$todo" ]; then
        forget
        finish nothing-to-do
    fi
    mark prechecked
    if ! marked backed-up; then
        rm -rf "$dir/before"
        if ! { [ $network = no ] || snapshot "$dir/before"; } || ! each backup || ! mark backed-up; then
            mark failed
            finish failed
        fi
    fi
    echo "$name" >"$base/last"
    if [ $network = yes ] && ! arm; then mark failed; finish failed; fi
    each apply
    code=$?
    [ "$code" != 0 ] || each verify || code=1
    if [ $network = yes ]; then after_network; fi
    if [ "$code" = 0 ]; then mark verified; finish applied; fi
    mark failed
    if [ "$code" = 2 ]; then finish changed; else finish failed; fi
}

# An attempt that began nothing leaves nothing.
forget() { grep -q '^applying' "$dir/state" || rm -rf "$dir"; }

# A change to the network is kept where it took and the Wire Server answers, or a port of it that did not answer before.
after_network() {
    now=$(reached '1 2 3')
    printf '%s\n' "$now" >"$dir/wire"
    while read -r port status; do say "wire $port $status"; done <"$dir/wire"
    better=no
    case $now in *none*) [ "$code" != 0 ] || code=1 ;; esac
    for port in 80 32526; do
        case $before:$now in *"$port none"*:*"$port none"*) ;; *"$port none"*:*) better=yes ;; esac
    done
    for at in $(numbers -n); do
        marked "applying $at" || continue
        case $(printf '%b' "$(tr '\n' ' ' <"$dir/plan.$at")") in
            remove-rule\ *panic*) panicked=yes ;;
            remove-rule\ *ufw*) gone=$((gone + 2)) ;;
            remove-r* | remove-policy*) gone=$((gone + 1)) ;;
            allow*) new=$((new + 2)) ;;
        esac
    done
    if [ "$code" != 0 ] && [ $better = no ]; then
        if settle; then
            take_back network
            mark reverted
        fi
        compare after 0 0
        finish reverted
    fi
    if ! settle; then finish reverted-by-watchdog; fi
    compare after "$gone" "$new"
    if [ "$code" != 0 ]; then mark kept; finish kept; fi
}
