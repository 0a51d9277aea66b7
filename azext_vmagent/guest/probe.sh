#!/bin/sh
# What is wrong between this guest's Azure agent and the Wire Server, in at most 4,096 bytes of text.
#
# Reads only: changes nothing, loads no kernel module, leaves nothing behind. Wants root (directly or by sudo -n sh), no
# parameters. Every check runs at once in the background and is given up after 5.5 s; what it had printed by then counts.
# POSIX sh (dash, busybox ash, bash) with awk, sed and tr; each other tool may be missing. One fact a line, `key value`,
# between `vmagent-probe 1` and `end SECONDS BYTES_LEFT_OUT CHECKSUM`; `cut SECTION BYTES` where a section was shortened.
# What does not fit as it is comes as `vmagent-probe 1 gzip` and base64. CHECKSUM is cksum's of all between first and last line.
# Guest text is data: stripped to printable ASCII and always behind a key.

wire=168.63.129.16
limit=4096
packed=if-larger # or always: a terminal breaks long lines, and base64 survives that

have() { command -v "$1" >/dev/null 2>&1; }

system() {
    echo "uid $(id -u)"
    while IFS= read -r line; do
        case $line in PRETTY_NAME=*) line=${line#*=} line=${line#\"}; echo "os ${line%\"}" ;; esac
    done </etc/os-release
    read -r release </proc/sys/kernel/osrelease && echo "kernel $release"
    read -r up _ </proc/uptime && echo "uptime $up"
    date -u '+now %Y-%m-%dT%H:%M:%SZ'
    date '+tz %z'
    awk '{ m[$1] = $2 } END { if (m["MemTotal:"]) print "memory", m["MemTotal:"], m["MemAvailable:"] + 0, m["SwapFree:"] + 0 }' /proc/meminfo
    [ ! -r /proc/sys/crypto/fips_enabled ] || { read -r fips </proc/sys/crypto/fips_enabled && echo "fips $fips"; }
}

# Only what differs from a unit that is well, and the states. A systemctl that does not answer says nothing, not none.
unit() {
    if ! have systemctl || ! [ -d /run/systemd/system ]; then
        echo 'systemd no'
        return
    fi
    echo 'systemd yes'
    systemctl show --no-pager -p Id,LoadState,ActiveState,SubState,UnitFileState,Result,NRestarts,ExecMainCode,ExecMainStatus \
        -p ConditionResult,FragmentPath,MainPID,ActiveEnterTimestamp,InactiveEnterTimestamp,NeedDaemonReload,FreezerState \
        -p DropInPaths,Environment,IPAddressDeny,IPAddressAllow,PrivateNetwork,NetworkNamespacePath,RestrictAddressFamilies,Job \
        -- walinuxagent.service waagent.service azure-proxy-agent.service system.slice azure.slice -.slice >"$dir/shown"
    awk '
        function flush() { if (text != "" && !absent && !seen[id]++) { gsub(/^|\n/, "&unit " id " ", text); print text; if (agent) n++ } text = ""; absent = 0 }
        /^$/ { flush(); next }
        /^Id=/ { id = substr($0, 4); agent = id ~ /^wa/ }
        /^Id=/ { next }
        /^LoadState=not-found/ { absent = 1 }
        id ~ /slice$/ && !/^IPAddress/ || id ~ /proxy/ && !/State=/ { next }
        { gsub(/\/\/[^\/@ ]*@/, "//***@") }
        /=~?$|^(PrivateNetwork|NeedDaemonReload)=no$|^NRestarts=0$|^FreezerState=running$/ || (/^DropInPaths=/ && !/\.d\/[^ ]*\.conf/) { next }
        /^DropInPaths=/ { gsub(/[^ =]*(10-Slice|11-CPU[A-Za-z]*|12-CPU[A-Za-z]*)\.conf */, ""); if (/=$/) next }
        { text = text (text == "" ? "" : "\n") $0 }
        END { flush(); if (!n && NR) print "unit none" }' "$dir/shown"
    # which drop-in holds what matters, which condition was not met, what a start waits for
    files='' unmet=''
    while IFS= read -r line; do
        case $line in
            DropInPaths=?*) files="$files ${line#*=}" ;;
            ConditionResult=no) unmet=yes ;;
        esac
    done <"$dir/shown"
    for file in $files; do
        [ ! -f "$file" ] || awk -v file="$file" '/^[ \t]*(IPAddress|Private|Network|Restrict|Environment|Exec|Condition|Assert|User|Root|Read|Protect|Inaccessible|Memory|Limit|NoExec|SystemCall|Capability)[A-Za-z]*[ \t]*=/ && n++ < 6 {
            sub(/^[ \t]+/, ""); gsub(/\/\/[^\/@ ]*@/, "//***@"); print "dropin " file " " $0 }' "$file"
    done
    [ -z "$unmet" ] || systemctl status -n 0 --no-pager -l walinuxagent.service waagent.service |
        sed -n 's/^[^A-Za-z]*\([A-Za-z]*=.*\) was not met.*/condition \1/p'
    ! grep -q ^Job=. "$dir/shown" || systemctl list-jobs --no-legend --no-pager | awk '/ running$/ && n++ < 4 { print "job " $2 }'
}

# The program that the unit starts, its interpreter, and whether it comes up: `-version` imports all of the agent and does
# nothing else. Asked only while no process of the agent runs, which proves it anyway; -B writes no .pyc.
runtime() {
    set -f
    # shellcheck disable=SC2046 # words of a command line
    set -- $(systemctl show -p ExecStart walinuxagent.service waagent.service | sed -n 's/.*argv\[\]=\([^;]*\) ;.*/\1/p' | head -n 1)
    set +f
    program='' python=''
    case ${1##*/} in
        python* | platform-python*)
            python=$1
            while [ $# -gt 1 ]; do
                shift
                case $1 in -*) ;; *) program=$1; break ;; esac
            done
            ;;
        waagent) program=$1 ;;
    esac
    for file in /usr/sbin/waagent /usr/bin/waagent; do [ -n "$program" ] || [ ! -e $file ] || program=$file; done
    ! have dpkg-query || dpkg-query -W -f 'package ${Package} ${Version} ${db:Status-Status}\n' waagent walinuxagent | grep -v ' not-installed$'
    ! have rpm || rpm -q --qf 'package %{NAME} %{VERSION}-%{RELEASE} installed\n' WALinuxAgent python-azure-agent | grep '^package .* installed$'
    if have openssl; then echo 'openssl yes'; else echo 'openssl no'; fi
    case $program in
        */waagent) ;;
        '') echo 'program /usr/sbin/waagent missing'; return ;;
        *) echo "program $program other"; return ;;
    esac
    if [ ! -e "$program" ]; then
        echo "program $program missing"
        return
    fi
    if [ -x "$program" ] || [ -n "$python" ]; then echo "program $program ok"; else echo "program $program not-executable"; fi
    if [ -z "$python" ]; then
        IFS= read -r first <"$program"
        # shellcheck disable=SC2086 # words of the first line
        case $first in '#!'*) set -- ${first#??} ;; *) set -- ;; esac
        case ${1##*/} in env) python=$(command -v "$2") || python=$2 ;; *) python=$1 ;; esac
    fi
    case ${python##*/} in
        python* | platform-python*) ;;
        *) echo "python ${python:-?} unknown"; return ;;
    esac
    if [ ! -e "$python" ]; then echo "python $python missing"; return; fi
    if [ ! -x "$python" ]; then echo "python $python not-executable"; return; fi
    # shellcheck disable=SC2013 # words of /proc
    for file in $(grep -ls waagent /proc/[0-9]*/cmdline); do
        case $(tr '\0' ' ' <"$file") in *python*waagent' -daemon'* | *python*' -run-exthandlers'*) echo "python $python runs"; return ;; esac
    done
    said=$(cd / && "$python" -B -s -E "$program" -version 2>&1)
    code=$?
    case $said in
        *WALinuxAgent-*) echo "python $python ok $(echo "$said" | sed -n 's/.*\(WALinuxAgent-[0-9.]*\).*/\1/p' | head -n 1)" ;;
        *)
            word=failed
            [ "$("$python" -S -E -c 'print(1)')" = 1 ] || word=broken
            echo "python $python $word $code $(echo "$said" | grep -v '^ ' | tail -n 1)"
            ;;
    esac
}

# What a repair of ours left in the guest: its name, when it was last at work, how far it came; and whether one is at work.
repaired() {
    base=/var/lib/azure-vmagent
    read -r boot </proc/sys/kernel/random/boot_id
    if read -r pid when _ who <$base/lock && [ "$when" = "$boot" ] && [ -d "/proc/$pid" ]; then
        echo "repairing $pid $(stat -c %Y $base/lock) ${who:-root}"
    fi
    read -r name <$base/last || return
    case $name in '' | *[!A-Za-z0-9.-]*) return ;; esac
    echo "repair $name $(stat -c %Y "$base/repairs/$name/state") $(tail -n 1 "$base/repairs/$name/state")"
}

service() {
    repaired
    if [ -e /var/lib/waagent/disable_agent ]; then echo 'disable_agent yes'; else echo 'disable_agent no'; fi
    conf=/etc/waagent.conf
    [ -e $conf ] || conf=/usr/share/defaults/waagent/waagent.conf
    if [ -e $conf ]; then
        echo 'conf yes'
        awk '/^ *(OS\.EnableFirewall|Extensions\.Enabled|AutoUpdate\.[A-Za-z]*|HttpProxy\.[A-Za-z]*|Provisioning\.Agent) *=/ && !/=None/ && n++ < 12 {
            gsub(/\/\/[^\/@ ]*@/, "//***@"); print "conf " $0 }' $conf
    else
        echo 'conf no'
    fi
    grep -lE 'waagent|WALinuxAgent|azurelinuxagent' /proc/[0-9]*/cmdline | while read -r file; do
        args=$(tr '\0' ' ' <"$file")
        first=${args%% *}
        case ${first##*/} in python* | platform-python* | waagent) ;; *) continue ;; esac
        case $args in *' -daemon'* | *' -run-exthandlers'*) ;; *) continue ;; esac
        while read -r name state _; do [ "$name" != State: ] || break; done <"${file%cmdline}status"
        pid=${file#/proc/}
        echo "process ${pid%/cmdline} $state $args"
    done
    echo 'ps yes'
}

# One GET with one tool. 3: there is no such tool.
get() {
    case $1 in
        curl)
            have curl || return 3
            curl -q -sS -v --noproxy '*' -m 3 -o /dev/null "http://$wire:$2$3"
            ;;
        wget)
            have wget || return 3
            case $(wget --version 2>&1) in
                *GNU*) wget --no-config --no-proxy -S -t 1 -T 3 -O /dev/null "http://$wire:$2$3" ;;
                *) wget -Y off -T 3 -O /dev/null "http://$wire:$2$3" && echo 'HTTP/1.0 200' ;;
            esac
            ;;
        python)
            python=$(command -v python3 || command -v python || command -v /usr/libexec/platform-python) || return 3
            "$python" -c '
import socket, sys
s = socket.socket()
s.settimeout(3)
s.connect((sys.argv[1], int(sys.argv[2])))
s.sendall(("GET %s HTTP/1.0\r\nHost: %s\r\n\r\n" % (sys.argv[3], sys.argv[1])).encode())
print(s.recv(64).decode("latin-1"))' "$wire" "$2" "$3"
            ;;
        bash)
            have bash && have timeout || return 3
            # shellcheck disable=SC2016 # the inner bash expands these
            timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"; printf "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n" "$2" "$0" >&3; head -n 1 <&3' \
                "$wire" "$2" "$3"
            ;;
        nc)
            have nc || return 3
            verbose=-v
            case $(nc -v -h 2>&1) in *'invalid option'*) verbose='' ;; esac
            { printf 'GET %s HTTP/1.0\r\nHost: %s\r\n\r\n' "$3" "$wire"; sleep 2; } | nc $verbose -w 3 "$wire" "$2"
            ;;
    esac
}

# Prints `wire PORT OUTCOME STATUS TOOL CODE WORDS`; the words of errno tell a dropping rule from a missing route. A tool that
# fails without such a word (it crashed, it lacks a library) gives way to the next.
ask() {
    answer="wire $1 no-tool - -"
    for tool in curl wget python bash nc; do
        get $tool "$1" "$2" >"$dir/said.$wire.$1" 2>&1
        code=$?
        [ $code -ne 3 ] || continue
        outcome=$(awk -v code=$code '
            match($0, /HTTP\/[0-9.]+ [1-5][0-9][0-9]/) && !/GET / { status = substr($0, RLENGTH + RSTART - 3, 3); exit }
            word { next }
            /onnection refused/ { word = "refused" }
            /o route to host/ { word = "no-route" }
            /etwork (is )?unreachable/ { word = "network-unreachable" }
            /ermission denied|peration not permitted/ { word = "denied" }
            /nvalid argument/ { word = "blackhole" }
            /onnection reset|mpty reply/ { word = "reset" }
            /[Tt]imed.?out|[Tt]imeout/ { word = "timed-out" }
            word { why = substr($0, 1, 90) }
            END {
                if (status) print "ok " status
                else if (word) print word " - " code " " why
                else print (code ~ /^(28|124)$/ ? "timed-out" : "failed") " - " code
            }' "$dir/said.$wire.$1")
        rest=${outcome#* }
        answer="wire $1 ${outcome%% *} ${rest%% *} $tool"
        case $rest in *' '*) answer="$answer ${rest#* }" ;; esac
        case $outcome in failed*) ;; *) break ;; esac
    done
    echo "$answer"
}

network() {
    if ! have ip; then
        echo 'ip no'
        for link in /sys/class/net/*; do
            name=${link##*/}
            case $(cat "$link/flags") in *[13579bBdDfF]) up=up ;; *) up=down ;; esac
            [ "$name" = lo ] || echo "link $name $up $(tr '[:lower:]' '[:upper:]' <"$link/operstate") $(cat "$link/address")"
        done
        awk '$2 == "00000000" { print "default hex " $3 " dev " $1 }' /proc/net/route
        return
    fi
    {
        echo @get; ip -4 route get $wire 2>&1
        echo @routes; ip -4 route show table all
        echo @rules; ip -4 rule
        echo @links; ip -o link
        echo @addresses; ip -4 -o addr
        echo @end
    } | awk -v w=$wire '
        /^@/ { part = $0; n = 0; next }
        part == "@get" && !n++ { print "route " $0 }
        part == "@routes" && (/^(blackhole|unreachable|prohibit|throw) / || index($0, w)) && v++ < 6 { print "via " $0 }
        part == "@routes" && /^default / && !/ table / && d++ < 3 { print "default " $0 }
        part == "@rules" && !/lookup (local|main|default) *$/ && r++ < 5 { print "iprule " $0 }
        $2 ~ /^(lo|veth.*|cali.*|docker.*|br-.*)[:@]?/ { if ($2 ~ /^lo:?$|^(veth|cali|docker|br-)/) next }
        part == "@links" && l++ < 6 {
            name = $2; sub(/[:@].*/, "", name); mac = ""; state = ""
            for (i = 3; i < NF; i++) { if ($i == "state") state = $(i + 1); if ($i ~ /^link\//) mac = $(i + 1) }
            print "link " name, ($3 ~ /[<,]UP[,>]/ ? "up" : "down"), state, mac
        }
        part == "@addresses" && a++ < 8 { print "addr " $2, $4 (/ dynamic/ ? " dynamic" : "") }
        END { if (part == "@end") print "ip yes" }'
}

# Who asks DHCP, and queueing disciplines other than the kernel's defaults, with filters.
shaping() {
    cat /proc/[0-9]*/comm | awk '
        /^(dhclient|dhcpcd|udhcpc|NetworkManager|systemd-network|wickedd-dhcp4|connmand)/ && !seen[$0]++ { print "dhcp " $0 }'
    have tc || return
    tc qdisc show | while read -r _ kind handle _ name rest; do
        case $kind in noqueue | mq | fq | fq_codel | pfifo_fast | pfifo) continue ;; esac
        echo "tc $kind $handle dev $name $rest"
        case $kind in clsact) set -- egress ingress ;; ingress) set -- ingress ;; *) set -- '' ;; esac
        # shellcheck disable=SC2086 # no word where the place is the root
        for place in "$@"; do tc filter show dev "$name" $place | awk -v head="filter dev $name $place" '
            function flush() { if (text ~ / (match|action|dst_ip|flowid|classid) /) print text }
            /^filter / { flush(); text = head " " $0; next }
            { gsub(/^[ \t]+/, ""); text = text " " $0 }
            END { flush() }'; done
    done | head -n 8
}

# Whether the gateways answer, asked when the tests have made the kernel ask them.
neighbours() {
    have ip || return
    waited=0
    while [ $waited -lt 42 ] && ! { [ -e "$dir/wire80.done" ] && [ -e "$dir/wire32526.done" ]; }; do
        sleep 0.3 || sleep 1
        waited=$((waited + 3))
    done
    { ip -4 route show table all; echo @; ip -4 neigh; } | awk '
        /^@/ { listed = 1 }
        !listed { for (i = 1; i < NF; i++) if ($i == "via") hop[$(i + 1)] }
        listed && $1 in hop && n++ < 4 { print "neigh " $0 }'
}

# FREE is what root may still write: df's own column leaves out the blocks kept for root, and df's sum holds those that ext4
# lets nobody have (reserved_clusters, up to 16 MiB).
disk() {
    {
        df -P -k / /var /var/lib/waagent /var/log
        echo @inodes; df -P -i / /var /var/lib/waagent /var/log
        echo @mounts; cat /proc/mounts
        echo @devices; cat /proc/self/mountinfo
        echo @reserved
        for file in /sys/fs/ext4/*/reserved_clusters; do
            name=${file%/*}
            read -r kept <"$file" && read -r number <"/sys/class/block/${name##*/}/dev" && echo "$number $kept"
        done
    } | awk '
        /^@/ { part = $0; next }
        part == "" && $5 ~ /%/ && !($6 in used) { mounts[++n] = $6; used[$6] = $5; free[$6] = $2 - $3 }
        part == "@inodes" && $5 ~ /%|-/ { inodes[$6] = $5; left[$6] = $4 }
        part == "@mounts" { mode[$2] = ($4 ~ /^ro(,|$)/ ? "ro" : "rw") ($4 ~ /(^|,)noexec(,|$)/ ? ",noexec" : "") }
        part == "@devices" { device[$5] = $3 }
        part == "@reserved" { kept[$1] = $2 * 4 }
        END { for (i = 1; i <= n; i++) { m = mounts[i]; f = free[m] - kept[device[m]]; print "disk", used[m], (f > 0 ? f : 0), m, (m in inodes ? inodes[m] : "-"), mode[m], (m in left ? left[m] : "-") } }'
    for folder in /var/lib/waagent /var/log; do
        [ ! -d $folder ] || df -P $folder | awk -v folder=$folder 'NR > 1 && $5 ~ /%/ { print "holds " folder " " $6 }'
    done
    for folder in /var/lib/waagent/events /var/lib/waagent/history; do
        # shellcheck disable=SC2012 # counted, not read
        [ ! -d $folder ] || echo "files $folder $(ls -f $folder | head -n 200000 | wc -l)"
    done
}

# The newest 2 MB of the log; line numbers count from the top of the file.
agent_log() {
    log=/var/log/waagent.log
    [ -e $log ] || { echo 'log no'; return; }
    size=$(wc -c <$log)
    before=0
    [ "$size" -le 2000000 ] || before=$(head -c $((size - 2000000)) $log | wc -l)
    tail -c 2000000 $log | tr -cd '\11\12\40-\176' | awk -v before="$before" -v size="$size" '
        function told(text) { return NR + before " " stamp " " substr(text, 1, 200) }
        function bare(text) { sub(/^[0-9]+[-\/][0-9]+[-\/][0-9]+[T ][0-9:.]+Z? */, "", text); return text }
        /^[0-9][0-9][0-9][0-9][-\/][0-9][0-9][-\/][0-9][0-9][T ][0-9][0-9]:/ { stamp = ($1 ~ /T/) ? $1 : $1 "T" $2 }
        !/HEARTBEAT|168\.63\.|oal ?[sS]tate|HostGAPlugin|HostPlugin|vmSettings|Extension status|either channel|rotocol|WireServer|ERROR|WARNING|No space|sleeping forever|already running|Waiting for cloud-init/ { next }
        { text = bare($0) }
        /HEARTBEAT\]/ { heartbeat = told(text); sub(/HeartbeatId: [^;]*;/, "", heartbeat) }
        /Fetch goal state completed|oal state recovered from previous|Wire protocol version:|Extension status: \[|Fetched new vmSettings|rocess(Extensions(In)?)?GoalState completed/ {
            if (n) past = latest
            n = 0; recovery = told(text); next
        }
        (/:32526/ && /IOError|HttpError|Failed|Timeout|Errno/) || /HostGAPlugin: (Exception|Failed)|SendHostPluginHeartbeat/ { plugin = told(text) }
        /168\.63\.129\.16.*(IOError|timed out|Errno|[Rr]efused|[Uu]nreachable)|[Ee]rror fetching the goal state|retrieving the goal state:|goal state is still failing|GET vmSettings.*: Timeout|either channel|Protocol endpoint not found|WireServer is not responding|No route exists to 168/ {
            if (/:32526|SendHostPluginHeartbeat|^[ \t]/ || (n && stamp == told_at)) next
            told_at = stamp
            if (!n) first = told(text)
            latest = told(text); kept[n++ % 3] = latest; next
        }
        / ERROR | WARNING .*(failed with|exited|return code|[Bb]lacklist)|No space left|sleeping forever|Daemon is already running|Waiting for cloud-init/ {
            if (text != last && !/op=Enable, message=.*return code/) errors[e++ % 3] = told(text)
            last = text
        }
        END {
            print "log yes " size " " NR + before " " stamp
            for (i = (n > 3 ? n - 3 : 0); i < n; i++) print "log.fail " kept[i % 3]
            if (n) { print "log.first " first; print "log.count " n }
            if (recovery != "") print "log.ok " recovery
            if (past != "") print "log.past " past
            if (plugin != "") print "log.plugin " plugin
            if (heartbeat != "") print "log.heartbeat " heartbeat
            for (i = (e > 3 ? e - 3 : 0); i < e; i++) print "log.error " errors[i % 3]
        }'
}

# What systemd says about the unit, what the agent's interpreter printed when it died, what the kernel says of disk and memory;
# of lines that differ only in numbers the newest.
journal() {
    ! have dmesg || dmesg | grep -iE 'out of memory|killed process|remounting filesystem read-only|blocked for more than|I/O error|table full|EXT4-fs error|XFS.*(error|shut)' |
        tail -n 3 | sed 's/^/dmesg /'
    have journalctl || return
    journalctl --no-pager -q -n 200 -o short-iso -u walinuxagent -u waagent | awk '
        / systemd\[|\(waagent\)|\(python|[A-Za-z]Error: |Errno|ERROR|denied|No such file|not found|No space|Read-only file/ {
            message = $0; sub(/^[^ ]+ [^ ]+ /, "", message); gsub(/[0-9]+/, "", message)
            newest[message] = NR; text[NR] = substr($0, 1, 220); key[NR] = message
        }
        END {
            for (i = 1; i <= NR; i++) if (i in text && newest[key[i]] == i) kept[++n] = text[i]
            for (i = (n > 9 ? n - 8 : 1); i <= n; i++) print "journal " kept[i]
        }'
}

# nf_tables is asked only where the kernel already has it: asking would load it.
kernel_has_nf_tables() {
    [ -d /sys/module/nf_tables ] || grep -q '^nf_tables ' /proc/modules || grep -q ' nf_tables_getrule' /proc/kallsyms
}

# Both filters below drop rules that cannot touch tcp from root to the Wire Server or its replies, and then whatever cannot
# end in a block: chains that nothing leads to, jumps to nothing, whole hooks in which no rule drops, and what comes after
# replies were let in.
# Filled by them: base[c], inbound[c], blocks[c] (the policy does), head[c], harm[c, i] (rule i may), marks[value] (what
# some rule writes into a mark), and by add().
walk='
    function add(c, text, target, settles) { rule[c, ++count[c]] = text; jump[c, count[c]] = target; settle[c, count[c]] = settles }
    function last(c, i) {
        if (!pass) return count[c]
        if (c in end) return end[c]
        end[c] = count[c]
        for (i = 1; i <= count[c]; i++)
            if (settle[c, i] && (jump[c, i] == "" || settled(jump[c, i]))) { lets[c] = 1; return end[c] = i }
        return end[c]
    }
    function settled(c) { last(c); return lets[c] }
    function useful(c, i) {
        if (c in use) return use[c]
        use[c] = 0
        for (i = 1; i <= last(c); i++) if (jump[c, i] == "" || useful(jump[c, i])) return use[c] = 1
        return 0
    }
    function risky(c, i) {
        if ((pass, c) in risk) return risk[pass, c]
        risk[pass, c] = 0
        for (i = 1; i <= last(c) && !risk[pass, c]; i++)
            if (harm[c, i] || (jump[c, i] != "" && risky(jump[c, i]))) risk[pass, c] = 1
        if (blocks[c] && !settled(c)) risk[pass, c] = 1
        return risk[pass, c]
    }
    function show(c, i) {
        if (shown[c]++) return
        printf "%s", head[c]
        for (i = 1; i <= last(c); i++) if (jump[c, i] == "" || useful(jump[c, i])) { print rule[c, i]; all = all "\n" rule[c, i] }
        for (i = 1; i <= last(c); i++) if (jump[c, i] != "" && useful(jump[c, i])) show(jump[c, i])
    }
    END {
        for (pass = 0; pass < 2; pass++)
            for (c in base) if (inbound[c] + 0 == pass && risky(c)) show(c)
        for (s in sets) { split(s, p, " "); if (index(all, "@" p[3])) print sets[s] }
        for (m in marks) if (marked++ < 8) print "fw.mark " (marked < 8 ? m : "more")
    }'

iptables_lines() {
    awk -v tag="fw.$1" '
        /^\*/ { table = substr($0, 2); next }
        /^:/ {
            c = table " " substr($1, 2)
            own[c] = 1
            if ($2 != "-" && $1 != ":FORWARD" && c !~ /^nat (PRE|POST)ROUTING$/) {
                base[c] = 1; inbound[c] = c ~ /INPUT|PREROUTING/
                if ($2 != "ACCEPT") { blocks[c] = 1; head[c] = tag " " table " -P " substr($1, 2) " " $2 "\n" }
            }
            next
        }
        /^-A FORWARD .*168\.63\.129\.16.* -j (DROP|REJECT)/ && told++ < 3 { print tag " " table " " $0; next }
        !/^-A / || / -[oi] lo / && !/! -[oi] lo / { next }
        / -p (udp|icmp|ipv6-icmp|sctp|esp|ah|gre|47|50|51|17|1) / && !/! -p / { next }
        / -[ds] [0-9]+\./ && !/! -[ds] / && !/INPUT|PREROUTING/ && / -d / {
            d = $0; sub(/.* -d /, "", d); split(d, o, /[.\/]/)
            if (o[1] != 168 && o[1] != 0 && d !~ /^[0-9.]+\/[0-7] /) next
        }
        /--dport [0-9]+ / && !/! --dport/ && !/168\.63\.129\.16/ {
            d = $0; sub(/.*--dport /, "", d); d += 0
            if (/INPUT|PREROUTING/ ? d < 1024 : d != 80 && d != 32526) next
        }
        {
            c = table " " $2; target = ""; word = ""
            for (i = 3; i < NF; i++) if ($i == "-j" || $i == "-g") word = $(i + 1)
            if (word ~ /^(CONN)?MARK$/ && match($0, /--set-xmark 0x[0-9a-f]+/)) marks[substr($0, RSTART + 12, RLENGTH - 12)]
            if ((table " " word) in own) target = table " " word
            else if (word == "" || word ~ /^(LOG|NFLOG|ULOG|AUDIT|TRACE|TCPMSS|CHECKSUM|MARK|CONNMARK|CONNSECMARK|SECMARK|DSCP|TTL)$/) next
            else if (word !~ /^(ACCEPT|RETURN|CT|NOTRACK|MASQUERADE|SNAT)$/) harm[c, count[c] + 1] = 1
            settles = (NF == 4 && word != "RETURN") || /^-A [^ ]+ -m (conntrack --ctstate|state --state) (RELATED,)?ESTABLISHED -j ACCEPT$/
            add(c, tag " " table " " $0, target, settles)
        }'"$walk"
}

nft_lines() {
    awk -v skip="$1" '
        /^table / {
            here = $2 " " $3
            wanted = $2 !~ /^(ip6|bridge|arp)$/ && !($2 == "ip" && index(skip, " " $3 " "))
            next
        }
        !wanted { next }
        /^\t(set|map) / { inset = here " " $2; set = ""; next }
        inset != "" && /^\t}/ {
            set = "fw.set " inset " elements = {" set " }"
            if (length(set) < 400) sets[inset] = set
            inset = ""; next
        }
        inset != "" {
            if (!/elements = / && !more) next
            more = !/}/
            sub(/^[\t ]*(elements = )?/, ""); gsub(/[{}]/, "")
            for (i = split($0, e, ","); i > 0; i--) {
                sub(/^ +/, "", e[i]); sub(/ +$/, "", e[i])
                if (e[i] != "" && (e[i] !~ /^[0-9.]+(\/([89]|[12][0-9]|3[0-2]))?( (:|timeout|expires|counter|comment) .*)?$/ || e[i] !~ /\./ || e[i] ~ /^168\./))
                    set = set (set == "" ? " " : ", ") e[i]
            }
            next
        }
        /^\tchain / { c = here " " $2; head[c] = "fw.chain " c "\n"; next }
        /^\t}/ { c = "" }
        c == "" { next }
        {
            sub(/^[\t ]+/, ""); sub(/counter packets [0-9]+ bytes [0-9]+/, "counter")
            if (match($0, /mark set .*/) && !/mark set (ct |meta )?mark( |$)/) {
                m = substr($0, RSTART + 9); sub(/^(ct|meta) mark (\||or) /, "", m)
                marks[m ~ /^0x[0-9a-f]+( |$)/ ? substr(m, 1, index(m " ", " ") - 1) : "any"]
            } else if (match($0, /mark set (ct|meta) mark (\||or|\^|xor) 0x[0-9a-f]+/)) {
                m = substr($0, RSTART, RLENGTH); sub(/.* /, "", m); marks[m]
            }
        }
        /^type .* hook / {
            if (/hook (input|output|postrouting|prerouting|ingress|egress)/ && (!/type nat/ || /hook output/)) {
                base[c] = 1; inbound[c] = /hook (input|prerouting|ingress)/; head[c] = "fw.chain " c " " $0 "\n"
                if (/policy drop/) blocks[c] = 1
            }
            next
        }
        /^(udp|icmp|icmpv6|ip6) / || /meta (l4proto (udp|icmp|ipv6-icmp)|nfproto ipv6) / { next }
        /(oifname|iifname|oif|iif) "lo" / { next }
        /ip daddr [0-9]+\./ && !inbound[c] {
            d = $0; sub(/.*ip daddr /, "", d); split(d, o, /[.\/]/)
            if (o[1] != 168 && o[1] != 0 && d !~ /^[0-9.]+(\/[0-7] |-)/) next
        }
        /tcp dport [0-9]+ / && !/168\.63\.129\.16/ {
            d = $0; sub(/.*tcp dport /, "", d)
            if (d !~ /^[0-9]+-/ && (inbound[c] ? d + 0 < 1024 : d + 0 != 80 && d + 0 != 32526)) next
        }
        !/(accept|drop|reject|return|queue|dnat|redirect|jump|goto|vmap|xt target)/ { next }
        /(^| )(drop|reject|queue|dnat|redirect|vmap|xt target)( |$)/ { harm[c, count[c] + 1] = 1 }
        {
            target = ""
            if (!/vmap/ && match($0, /(jump|goto) [^ ]+/)) target = here " " substr($0, RSTART + 5, RLENGTH - 5)
            settles = /^(jump|goto) / || (/^ct state [{ ]*((established|related|untracked),? ?)+[ }]*(counter )?accept/ && /established/)
            add(c, "fw.nft " $0, target, settles)
            if (/vmap/) {
                line = $0
                while (match(line, /(jump|goto) [A-Za-z0-9_.\-]+/)) {
                    vmaps[c] = vmaps[c] "\n" here " " substr(line, RSTART + 5, RLENGTH - 5)
                    line = substr(line, RSTART + RLENGTH)
                }
            }
        }'"$walk"'
        END { for (c in vmaps) if (shown[c]) { n = split(vmaps[c], p, "\n"); for (i = 2; i <= n; i++) if (useful(p[i])) show(p[i]) } }'
}

# The members of the named sets that may hold the Wire Server, those of one set in a line. Only where the kernel has sets
# already: asking would load them.
ipset_lines() {
    have ipset && { [ -d /sys/module/ip_set ] || grep -q '^ip_set ' /proc/modules; } || return
    ipset save </dev/null | awk -v wanted=" $1 " '
        function kept(m) {
            if (m ~ /^[0-9]+$/) return m == 80 || m == 32526
            return m !~ /^[0-9]+\.[0-9.]+(\/([89]|[12][0-9]|3[0-2]))?(,|$)/ || m ~ /^168\./ || m ~ /,168\./
        }
        $1 == "create" { type[$2] = $3; order[++n] = $2; next }
        $1 == "add" && kept($3) { held[$2] = held[$2] (held[$2] == "" ? "" : "; ") $3 (/ nomatch/ ? " nomatch" : "") }
        END {
            for (i = 1; i <= n; i++) if (type[order[i]] == "list:set" && index(wanted, " " order[i] " ")) {
                c = split(held[order[i]], part, "; "); for (j = 1; j <= c; j++) wanted = wanted part[j] " "
            }
            for (i = 1; i <= n; i++) if (index(wanted, " " order[i] " ") && length(held[order[i]]) < 360)
                print "fw.ipset " order[i] " " type[order[i]] " " held[order[i]]
        }'
}

# busctl's `a(sssias) 1 "ipv4" "filter" "OUTPUT" 0 4 "-d" ...` as firewall-cmd prints it, one rule a line.
direct_lines() {
    awk -v tag="$1" -v passthrough="$2" '{
        line = $0; sub(/^a\([a-z]*\) [0-9]+ ?/, "", line)
        fields = passthrough ? 1 : 4
        while (line != "") {
            out = ""; count = -1
            for (i = 0; line != "" && (count < 0 || i < fields + 1 + count); i++) {
                if (!match(line, /^("([^"\\]|\\.)*"|[^ ]+) ?/)) exit
                word = substr(line, 1, RLENGTH); line = substr(line, RLENGTH + 1); sub(/ $/, "", word)
                if (i == fields) { count = word + 0; continue }
                if (word ~ /^"[^ ]*"$/) word = substr(word, 2, length(word) - 2)
                out = out (out == "" ? "" : " ") word
            }
            if (out ~ /^ipv4 /) print tag " " out
        }
    }'
}

firewalld() {
    state=no
    if have firewall-cmd; then
        for group in /sys/fs/cgroup/system.slice/firewalld.service /sys/fs/cgroup/systemd/system.slice/firewalld.service; do
            [ ! -d $group ] || state=running
        done
        [ $state = running ] || [ ! -e /run/firewalld.pid ] || state=running
        [ $state = running ] || ! systemctl -q is-active firewalld || state=running
    fi
    echo "fw.firewalld $state"
    [ $state = running ] || return
    name=org.fedoraproject.FirewallD1 path=/org/fedoraproject/FirewallD1
    if have busctl && panic=$(busctl --auto-start=no call $name $path $name queryPanicMode); then
        echo "fw.panic ${panic#b }"
        busctl --auto-start=no call $name $path $name.direct getAllRules | direct_lines fw.direct ''
        busctl --auto-start=no call $name $path $name.direct getAllPassthroughs | direct_lines fw.passthrough 1
    else
        (firewall-cmd --query-panic | sed 's/^/fw.panic /') &
        (firewall-cmd --direct --get-all-rules | sed -n 's/^ipv4 /fw.direct &/p') &
        (firewall-cmd --direct --get-all-passthroughs | sed -n 's/^ipv4 /fw.passthrough &/p') &
        wait
    fi
    [ ! -e /etc/firewalld/direct.xml ] || awk 'BEGIN { RS = "<" }
        /^(rule|passthrough) .*ipv="ipv4"/ { gsub(/\n/, " "); print "fw.permanent " $1 " " $0 }' /etc/firewalld/direct.xml
    for file in /etc/firewalld/policies/*.xml; do
        [ -e "$file" ] || continue
        policy=${file##*/}
        awk -v name="${policy%.xml}" '{ sub(/<\?[^>]*>/, ""); gsub(/[ \t]+/, " "); text = text " " $0 }
            END { print "fw.policy " name substr(text, 1, 380) }' "$file"
    done
}

netfilter() {
    old=none nf=''
    names=/proc/net/ip_tables_names
    if [ -e $names ] && { [ ! -r $names ] || grep -q . $names; }; then
        old=present
        save=iptables-legacy-save
        have $save || save=iptables-save
        case $($save -V 2>&1) in *nf_tables*) save='' ;; esac
        if [ -r $names ] && [ -n "$save" ] && have "$save"; then
            echo "fw.list iptables-legacy ${save%-save}"
            while read -r table; do $save -t "$table" </dev/null; done <$names >"$dir/legacy"
            iptables_lines iptables-legacy <"$dir/legacy"
        else
            echo 'fw.missing iptables-legacy'
        fi
    fi
    if kernel_has_nf_tables; then
        case $(iptables-save -V 2>&1) in *nf_tables*) nf=iptables-save ;; esac
        if [ -z "$nf" ] && have iptables-nft-save; then nf=iptables-nft-save; fi
        seen=' '
        if [ -n "$nf" ]; then
            if $nf >"$dir/nf"; then
                echo "fw.list iptables ${nf%-save}"
                iptables_lines iptables <"$dir/nf"
                seen=" $(sed -n 's/^\*//p' "$dir/nf" | tr '\n' ' ')"
            else
                echo 'fw.missing iptables'
            fi
        fi
        if have nft; then
            if nft -a list ruleset >"$dir/nft"; then
                echo 'fw.list nft'
                nft_lines "$seen" <"$dir/nft"
            else
                echo 'fw.missing nft'
            fi
        elif [ -z "$nf" ]; then
            echo 'fw.missing nft'
        fi
    elif [ $old = none ]; then
        echo 'fw.list none'
    fi
    named=$(cat "$dir/legacy" "$dir/nf" | sed -n 's/.* --match-set \([^ ]*\) .*/\1/p' | sort -u | tr '\n' ' ')
    [ -z "$named" ] || ipset_lines "$named"
}

ufw() {
    [ ! -e /etc/ufw/ufw.conf ] || awk '
        /^ENABLED=yes/ { on = 1 }
        on && sub(/^### tuple ### /, "") && / out/ { print "fw.ufw " $0 }' /etc/ufw/ufw.conf /etc/ufw/user.rules
}

# The most telling lines in LIMIT bytes, and in $dir/left how many bytes were left out. Each SECTION:RESERVE (of 4,500) is sure of
# its reserve and may take what the ones before it left over.
choose() {
    awk -v limit="$1" -v left_out="$dir/left" \
        -v plan='facts:1400 log:900 network:450 netfilter:900 firewalld:450 ufw:100 journal:300' '
        BEGIN {
            s = split(plan, order, " ")
            for (i = 1; i <= s; i++) { split(order[i], p, ":"); order[i] = p[1]; reserve[p[1]] = p[2] * limit / 4096 }
        }
        {
            name = FILENAME; sub(/.*\//, "", name); if (name ~ /^(neighbours|shaping)$/) name = "network"; if (!(name in reserve)) name = "facts"
            gsub(/\t/, " "); gsub(/[^ -~]/, ""); sub(/ +$/, "")
            if ($0 == "") next
            line = length($0) > 420 ? substr($0, 1, 417) "..." : $0
            text[name, ++lines[name]] = line; size[name] += length(line) + 1
        }
        END {
            left = limit - s * 20
            for (i = 1; i <= s; i++) {
                later = 0
                for (j = i + 1; j <= s; j++) { r = reserve[order[j]]; later += size[order[j]] < r ? size[order[j]] : r }
                mine = left - later; cut = 0
                for (k = 1; k <= lines[order[i]]; k++) {
                    line = text[order[i], k]
                    if (!cut && length(line) + 1 <= mine) { print line; mine -= length(line) + 1; left -= length(line) + 1 }
                    else cut += length(line) + 1
                }
                if (cut) { print "cut " order[i] " " cut; all += cut }
            }
            print all + 0 >left_out
        }' "$dir/late" "$dir/system" "$dir/wire80" "$dir/wire32526" "$dir/unit" "$dir/service" "$dir/runtime" "$dir/disk" \
        "$dir/imds" "$dir/log" "$dir/network" "$dir/neighbours" "$dir/shaping" "$dir/netfilter" "$dir/firewalld" "$dir/ufw" "$dir/journal"
}

# gzip and base64 of stdin, or nothing where the tools do not work.
squeeze() {
    gzip -9 -c >"$dir/gzip" || return
    for tool in base64 'openssl enc -base64' 'busybox base64'; do
        $tool <"$dir/gzip" >"$dir/base64" || continue
        case $(head -n 1 "$dir/base64") in H4sI*) cat "$dir/base64"; return ;; esac
    done
}

# SECONDS BODY: the last line, with the body's checksum.
last_line() {
    read -r cut <"$dir/left"
    sum=$(cksum <"$2") || sum=-
    echo "end $1 ${cut:-0} ${sum%% *}"
}

pack() {
    room=$((limit - 64))
    choose $room >"$dir/plain"
    read -r cut <"$dir/left"
    if [ "$cut" != 0 ] || [ $packed = always ]; then
        fits=24000
        for _ in 1 2 3 4 5; do
            choose $fits >"$dir/chosen"
            squeeze <"$dir/chosen" >"$dir/squeezed"
            size=$(wc -c <"$dir/squeezed")
            [ "$size" -gt $room ] || break
            fits=$((fits < 24000 ? fits : $(wc -c <"$dir/chosen")))
            fits=$((fits * room * 19 / (size * 20)))
        done
        if [ "$size" -gt 0 ] && [ "$size" -le $room ] && { [ $fits -gt $limit ] || [ $packed = always ]; }; then
            echo 'vmagent-probe 1 gzip'
            cat "$dir/squeezed"
            last_line "$1" "$dir/squeezed"
            return
        fi
        choose $room >"$dir/plain"
    fi
    echo 'vmagent-probe 1'
    cat "$dir/plain"
    last_line "$1" "$dir/plain"
}

# The late jobs and all that they started; only their own descendants.
end_jobs() {
    victims=$(cat /proc/[0-9]*/stat | awk -v jobs="$1" '
        { pid = $1; sub(/.*\) [A-Za-z] /, ""); parent[pid] = $1 }
        END {
            n = split(jobs, j, " ")
            for (i = 1; i <= n; i++) { sub(/.*:/, "", j[i]); late[j[i]] = 1 }
            for (pid in parent)
                for (p = pid; p > 1; p = parent[p]) if (p in late) { print pid; break }
        }')
    # shellcheck disable=SC2086 # a list of numbers
    kill -9 $victims
}

clean() { [ -z "$dir" ] || rm -rf "$dir"; }

# Hundredths of a second since boot, in $now; no clock step can stretch our deadline.
uptime() {
    read -r now _ </proc/uptime
    now=${now%.*}${now#*.}
}

main() {
    LC_ALL=C PATH="$PATH:/usr/sbin:/sbin:/usr/bin:/bin" TZ=
    export LC_ALL PATH
    unset TZ http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
    umask 077
    exec 2>/dev/null
    dir=''
    trap clean EXIT
    trap 'exit 143' HUP INT TERM
    for base in /run /dev/shm /tmp /var/tmp; do
        dir=$(mktemp -d "$base/vmagent.XXXXXX") && break
    done
    if [ -z "$dir" ]; then
        printf 'vmagent-probe 1\nuid %s\nmissing no writable directory\nend 0 0\n' "$(id -u)"
        return
    fi
    uptime
    started=$now
    jobs=''
    for job in wire80 wire32526 imds system netfilter firewalld unit service runtime network shaping neighbours agent_log disk ufw journal; do
        file=$dir/$job
        [ $job != agent_log ] || file=$dir/log
        : >"$file"
        case $job in
            wire80) (ask 80 '/?comp=versions' >"$file"; : >"$dir/$job.done") </dev/null & ;;
            wire32526) (ask 32526 /versions >"$file"; : >"$dir/$job.done") </dev/null & ;;
            imds) (wire=169.254.169.254; ask 80 /metadata/versions | sed 's/^wire 80/imds/' >"$file"; : >"$dir/$job.done") </dev/null & ;;
            *) ($job >"$file"; : >"$dir/$job.done") </dev/null & ;;
        esac
        jobs="$jobs $job:$!"
    done
    while :; do
        running=''
        for job in $jobs; do [ -e "$dir/${job%:*}.done" ] || running="$running $job"; done
        uptime
        if [ -z "$running" ] || [ $((now - started)) -ge 550 ]; then break; fi
        # each costs a process, which is dear where the guest is slow
        if [ $((now - started)) -lt 60 ]; then sleep 0.1; else sleep 0.3; fi || sleep 1
    done
    for job in $running; do echo "late ${job%:*}"; done >"$dir/late"
    [ -z "$running" ] || end_jobs "$running"
    took=$((now - started))
    pack "$((took / 100)).$((took % 100 / 10))"
}

main
