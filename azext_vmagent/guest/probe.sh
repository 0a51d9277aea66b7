#!/bin/sh
# What is wrong between this guest's Azure agent and the Wire Server, in at most 4,096 bytes of text.
#
# Reads only: changes nothing, loads no kernel module, leaves nothing behind. Wants root (directly or by sudo -n sh), no
# parameters. Every check runs at once in the background and is given up after 6 s; what it had printed by then counts.
# POSIX sh (dash, busybox ash, bash) with awk, sed and tr; each other tool may be missing. One fact a line, `key value`,
# between `vmagent-probe 1` and `end SECONDS BYTES_LEFT_OUT`; `cut SECTION BYTES` where a section was shortened.
# Guest text is data: stripped to printable ASCII and always behind a key.

wire=168.63.129.16
limit=4096

run() {
    if [ -n "$timeout" ]; then timeout 5 "$@"; else "$@"; fi
}

have() { command -v "$1" >/dev/null 2>&1; }

key() { sed "s|^|$1 |"; }

system() {
    echo "uid $(id -u)"
    sed -n 's/^PRETTY_NAME=/os /p' /etc/os-release | tr -d '"'
    echo "kernel $(uname -r)"
    read -r up _ </proc/uptime && echo "uptime $up"
    date -u '+now %Y-%m-%dT%H:%M:%SZ'
    date '+tz %z'
}

service() {
    if ! have systemctl || ! [ -d /run/systemd/system ]; then
        echo 'systemd no'
    else
        echo 'systemd yes'
        for unit in walinuxagent waagent; do
            run systemctl show --no-pager -p LoadState,ActiveState,SubState,UnitFileState,Result,NRestarts,ExecMainCode \
                -p ExecMainStatus,ConditionResult,FragmentPath,MainPID,ActiveEnterTimestamp,InactiveEnterTimestamp \
                -p IPAddressDeny,PrivateNetwork,DropInPaths,Environment "$unit.service" | sed "s/^/unit $unit.service /"
        done | awk '
            { name = $2; text[name] = text[name] $0 "\n" }
            $3 == "LoadState=not-found" { absent[name] = 1 }
            END { for (name in text) if (!(name in absent)) { printf "%s", text[name]; n++ } if (!n) print "unit none" }' |
            awk '!/=$|=no$|NRestarts=0$|DropInPaths=.*(10-Slice|11-CPU|12-CPU)[^ ]*$/ || / (Result|SubState)=/'
    fi
    if [ -e /var/lib/waagent/disable_agent ]; then echo 'disable_agent yes'; else echo 'disable_agent no'; fi
    conf=/etc/waagent.conf
    [ -e $conf ] || conf=/usr/share/defaults/waagent/waagent.conf
    if [ -e $conf ]; then
        echo 'conf yes'
        grep -E '^ *(OS\.EnableFirewall|Extensions\.Enabled|AutoUpdate\.[A-Za-z]*|HttpProxy\.[A-Za-z]*|Provisioning\.Agent) *=' $conf |
            grep -v '=None' | head -n 12 | key conf
    else
        echo 'conf no'
    fi
    if have ps; then echo 'ps yes'; fi
    for stat in /proc/[0-9]*/stat; do
        pid=${stat#/proc/}
        pid=${pid%/stat}
        args=$(tr '\0' ' ' <"/proc/$pid/cmdline") || continue
        case $args in
            *python*agent*-daemon* | *python*-run-exthandlers* | */waagent\ -daemon*)
                state=$(sed -n 's/^State:[^A-Z]*\(.\).*/\1/p' "/proc/$pid/status")
                echo "process $pid $state $args"
                ;;
        esac
    done
}

# One GET; prints `wire PORT OUTCOME STATUS TOOL DETAIL`. The words of errno tell a dropping rule from a missing route.
ask() {
    port=$1 url="http://$wire:$1$2" status='-' tool='' code=''
    said=$dir/said.$port
    if have curl; then
        tool=curl
        status=$(run curl -q -sS -v --noproxy '*' -m 4 -o /dev/null -w '%{http_code}' "$url" 2>"$said")
        code=$?
    elif have wget; then
        tool=wget
        case $(wget --version 2>&1) in
            *GNU*) run wget --no-config --no-proxy -S -t 1 -T 4 -O /dev/null "$url" >"$said" 2>&1 ;;
            *) run wget -Y off -T 4 -O /dev/null "$url" >"$said" 2>&1 ;;
        esac
        code=$?
        status=$(sed -n 's|.*HTTP/[0-9.]* \([0-9][0-9][0-9]\).*|\1|p' "$said" | head -n 1)
        [ $code -ne 0 ] || status=${status:-200}
    elif python=$(command -v python3 || command -v python || command -v /usr/libexec/platform-python); then
        tool=python
        run "$python" -c '
import socket, sys
s = socket.socket()
s.settimeout(4)
s.connect((sys.argv[1], int(sys.argv[2])))
s.sendall(("GET %s HTTP/1.0\r\nHost: %s\r\n\r\n" % (sys.argv[3], sys.argv[1])).encode())
print(s.recv(64).decode("latin-1"))' "$wire" "$port" "$2" >"$said" 2>&1
        code=$?
    elif have bash; then
        tool=bash
        # shellcheck disable=SC2016 # the inner bash expands these
        run bash -c 'exec 3<>"/dev/tcp/$0/$1" && printf "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n" "$2" "$0" >&3 && head -n 1 <&3' \
            "$wire" "$port" "$2" >"$said" 2>&1
        code=$?
    elif have nc; then
        tool=nc
        { printf 'GET %s HTTP/1.0\r\nHost: %s\r\n\r\n' "$2" "$wire"; sleep 3; } |
            run nc -w 4 "$wire" "$port" >"$said" 2>&1
        code=$?
        [ -s "$said" ] || code=124
    else
        echo "wire $port no-tool - -"
        return
    fi
    case $status in
        [1-5][0-9][0-9]) ;;
        *) status=$(sed -n 's|.*HTTP/[0-9.]* \([1-5][0-9][0-9]\).*|\1|p' "$said" | head -n 1) ;;
    esac
    if [ -n "$status" ]; then
        echo "wire $port ok $status $tool"
        return
    fi
    case $(cat "$said") in
        *'onnection refused'*) outcome=refused ;;
        *'o route to host'*) outcome=no-route ;;
        *'etwork is unreachable'* | *'etwork unreachable'*) outcome=network-unreachable ;;
        *'ermission denied'* | *'peration not permitted'*) outcome=denied ;;
        *'nvalid argument'*) outcome=blackhole ;;
        *'onnection reset'* | *'mpty reply'*) outcome=reset ;;
        *'imed out'* | *'imeout'* | *'timed_out'*) outcome=timed-out ;;
        *) case $code in 28 | 124 | 137 | 143) outcome=timed-out ;; *) outcome=failed ;; esac ;;
    esac
    why=$(grep -iE 'refused|route|unreach|denied|permitted|invalid|reset|empty|timed|timeout' "$said" | head -n 1 | cut -c1-90)
    echo "wire $port $outcome - $tool $code $why"
}

network() {
    if have ip; then
        run ip -4 route get $wire 2>&1 | head -n 1 | key route
        run ip -4 route show table all |
            awk -v w=$wire '/^(blackhole|unreachable|prohibit|throw) / || index($0, w)' | head -n 6 | key via
        run ip -4 route show default | head -n 3 | key default
        run ip -4 rule | awk '!/lookup (local|main|default) *$/' | head -n 5 | key iprule
        run ip -o link | awk '{
                name = $2; sub(/[:@].*/, "", name); mac = ""; state = ""
                for (i = 3; i < NF; i++) { if ($i == "state") state = $(i + 1); if ($i ~ /^link\//) mac = $(i + 1) }
                up = ($3 ~ /[<,]UP[,>]/) ? "up" : "down"
                if (name != "lo" && name !~ /^(veth|cali|docker|br-)/ && n++ < 6) print "link " name, up, state, mac }'
        run ip -4 -o addr | awk '$2 != "lo" && $2 !~ /^(veth|cali|docker|br-)/ && n++ < 8 { print "addr " $2, $4 }'
        echo 'ip yes'
    else
        echo 'ip no'
        for link in /sys/class/net/*; do
            name=${link##*/}
            case $(cat "$link/flags") in *[13579bBdDfF]) up=up ;; *) up=down ;; esac
            [ "$name" = lo ] || echo "link $name $up $(tr '[:lower:]' '[:upper:]' <"$link/operstate") $(cat "$link/address")"
        done
        awk '$2 == "00000000" { print "default hex " $3 " dev " $1 }' /proc/net/route
    fi
}

disk() {
    for mount in / /var; do
        bytes=$(run df -P -k $mount | awk 'NR == 2 { print $5, $4, $6 }')
        inodes=$(run df -P -i $mount | awk 'NR == 2 { print $5 }')
        mode=$(awk -v m="${bytes##* }" '$2 == m { o = $4 } END { print (o ~ /^ro(,|$)/) ? "ro" : "rw" }' /proc/mounts)
        [ -z "$bytes" ] || echo "disk $bytes ${inodes:--} $mode"
    done | sort -u
}

# A log of any size is read once from its end; line numbers are known only when that is the whole of it.
agent_log() {
    log=/var/log/waagent.log
    [ -e $log ] || { echo 'log no'; return; }
    size=$(wc -c <$log)
    whole=1
    [ "$size" -le 8000000 ] || whole=0
    tail -c 8000000 $log | LC_ALL=C tr -cd '\11\12\40-\176' | awk -v whole=$whole -v size="$size" '
        function at(n) { return whole ? n : "-" }
        function told(n, text) { return at(n) " " stamp " " substr(text, 1, 200) }
        function bare(text) { sub(/^[0-9]+[-\/][0-9]+[-\/][0-9]+[T ][0-9:.]+Z? */, "", text); return text }
        /^[0-9][0-9][0-9][0-9][-\/][0-9][0-9][-\/][0-9][0-9][T ][0-9][0-9]:/ {
            stamp = ($1 ~ /T/) ? $1 : $1 "T" $2
        }
        { text = bare($0) }
        /HEARTBEAT\]/ { heartbeat = told(NR, text); sub(/HeartbeatId: [^;]*;/, "", heartbeat) }
        /Fetch goal state completed|oal state recovered from previous|Wire protocol version:|Extension status: \[|Fetched new vmSettings|rocessExtensionsInGoalState completed|ProcessGoalState completed/ {
            if (n) past = latest
            n = 0; recovery = told(NR, text); next
        }
        /:32526/ && /IOError|HttpError|Failed|Timeout|Errno/ { plugin = told(NR, text) }
        /HostGAPlugin: (Exception|Failed)|SendHostPluginHeartbeat/ { plugin = told(NR, text) }
        /168\.63\.129\.16.*(IOError|timed out|Errno|[Rr]efused|[Uu]nreachable)|[Ee]rror fetching the goal state|retrieving the goal state:|goal state is still failing|GET vmSettings.*: Timeout|either channel|Protocol endpoint not found|WireServer is not responding|No route exists to 168/ {
            if (/:32526|SendHostPluginHeartbeat|^[ \t]/ || (n && stamp == told_at)) next
            told_at = stamp
            if (!n) first = told(NR, text)
            latest = told(NR, text); kept[n++ % 3] = latest; next
        }
        / ERROR | WARNING .*(failed with|exited|return code|[Bb]lacklist)|ENOSPC|No space left|sleeping forever|Daemon is already running/ {
            if (text != last && !/op=Enable, message=.*return code/) errors[e++ % 3] = told(NR, text)
            last = text
        }
        END {
            print "log yes " size " " at(NR) " " stamp
            for (i = (n > 3 ? n - 3 : 0); i < n; i++) print "log.fail " kept[i % 3]
            if (n) { print "log.first " first; print "log.count " n }
            if (recovery != "") print "log.ok " recovery
            if (past != "") print "log.past " past
            if (plugin != "") print "log.plugin " plugin
            if (heartbeat != "") print "log.heartbeat " heartbeat
            for (i = (e > 3 ? e - 3 : 0); i < e; i++) print "log.error " errors[i % 3]
        }'
}

journal() {
    have journalctl || return
    run journalctl --no-pager -q -n 60 -o short-iso -u walinuxagent -u waagent |
        grep -vE 'INFO|VERBOSE|\^\^|^--' | tail -n 6 | cut -c1-200 | key journal
}

# nf_tables is asked only where the kernel already has it: asking would load it.
kernel_has_nf_tables() {
    [ -d /sys/module/nf_tables ] || grep -q '^nf_tables ' /proc/modules || grep -q ' nf_tables_getrule' /proc/kallsyms
}

# Both filters below drop rules that cannot touch tcp from root to the Wire Server or its replies, and then whatever cannot
# end in a block: chains that nothing leads to, jumps to nothing, whole hooks in which no rule drops, and what comes after
# replies were let in.
# Filled by them: base[c], inbound[c], blocks[c] (policy or a rule of its own), head[c], and by add().
walk='
    function add(c, text, target) { rule[c, ++count[c]] = text; jump[c, count[c]] = target }
    function useful(c, i) {
        if (c in use) return use[c]
        use[c] = 0
        for (i = 1; i <= count[c]; i++) if (jump[c, i] == "" || useful(jump[c, i])) return use[c] = 1
        return 0
    }
    function risky(c, i) {
        if (c in risk) return risk[c]
        risk[c] = blocks[c] + 0
        for (i = 1; i <= count[c] && !risk[c]; i++) if (jump[c, i] != "" && risky(jump[c, i])) risk[c] = 1
        return risk[c]
    }
    function show(c, i) {
        if (shown[c]++) return
        printf "%s", head[c]
        for (i = 1; i <= count[c]; i++) if (jump[c, i] == "" || useful(jump[c, i])) { print rule[c, i]; all = all "\n" rule[c, i] }
        for (i = 1; i <= count[c]; i++) if (jump[c, i] != "" && useful(jump[c, i])) show(jump[c, i])
    }
    END {
        for (pass = 0; pass < 2; pass++)
            for (c in base) if (inbound[c] + 0 == pass && risky(c)) show(c)
        for (s in sets) { split(s, p, " "); if (index(all, "@" p[3])) print sets[s] }
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
        closed[table " " $2] || !/^-A / || / -[oi] lo / && !/! -[oi] lo / { next }
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
            if ((table " " word) in own) target = table " " word
            else if (word == "" || word ~ /^(LOG|NFLOG|ULOG|AUDIT|TRACE|TCPMSS|CHECKSUM|MARK|CONNMARK|CONNSECMARK|SECMARK|DSCP|TTL)$/) next
            else if (word !~ /^(ACCEPT|RETURN|CT|NOTRACK|MASQUERADE|SNAT)$/) blocks[c] = 1
            closed[c] = inbound[c] && /^-A [^ ]+ -m (conntrack --ctstate|state --state) (RELATED,ESTABLISHED|ESTABLISHED) -j ACCEPT$/
            add(c, tag " " table " " $0, target)
        }'"$walk"
}

nft_lines() {
    awk -v skip="$1" '
        /^table / {
            here = $2 " " $3
            wanted = $2 !~ /^(ip6|bridge|arp|netdev)$/ && !($2 == "ip" && index(skip, " " $3 " "))
            next
        }
        !wanted { next }
        /^\t(set|map) / { inset = here " " $2; set = "fw.set " inset; next }
        inset != "" && /^\t}/ { if (length(set) < 400) sets[inset] = set; inset = ""; next }
        inset != "" { if (/elements = / || more) { sub(/^[\t ]+/, ""); set = set " " $0; more = !/}/ } next }
        /^\tchain / { c = here " " $2; head[c] = "fw.chain " c "\n"; next }
        /^\t}/ { c = "" }
        c == "" { next }
        { sub(/^[\t ]+/, ""); sub(/ counter packets [0-9]+ bytes [0-9]+/, " counter") }
        /^type .* hook / {
            if (/hook (input|output|postrouting|prerouting)/ && (!/type nat/ || /hook output/)) {
                base[c] = 1; inbound[c] = /hook (input|prerouting)/; head[c] = "fw.chain " c " " $0 "\n"
                if (/policy drop/) blocks[c] = 1
            }
            next
        }
        /^(udp|icmp|icmpv6|ip6) / || /meta (l4proto (udp|icmp|ipv6-icmp)|nfproto ipv6) / { next }
        closed[c] { next }
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
        /(^| )(drop|reject|queue|dnat|redirect|vmap|xt target)( |$)/ { blocks[c] = 1 }
        {
            closed[c] = inbound[c] && /^ct state [{ ]*((established|related|untracked),? ?)+[ }]*(counter )?accept/ && /established/
            target = ""
            if (!/vmap/ && match($0, /(jump|goto) [^ ]+/)) target = here " " substr($0, RSTART + 5, RLENGTH - 5)
            add(c, "fw.nft " $0, target)
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

# busctl's `a(sssias) 1 "ipv4" "filter" "OUTPUT" 0 4 "-d" ...` as firewall-cmd prints it, one rule a line.
direct_lines() {
    awk -v passthrough="$1" '{
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
            print out
        }
    }'
}

firewalld() {
    if ! { [ -e /run/firewalld.pid ] || run systemctl -q is-active firewalld; }; then
        echo 'fw.firewalld no'
        return
    fi
    echo 'fw.firewalld running'
    name=org.fedoraproject.FirewallD1 path=/org/fedoraproject/FirewallD1
    if have busctl && panic=$(run busctl --auto-start=no call $name $path $name queryPanicMode); then
        echo "fw.panic ${panic#b }"
        run busctl --auto-start=no call $name $path $name.direct getAllRules | direct_lines '' | key fw.direct
        run busctl --auto-start=no call $name $path $name.direct getAllPassthroughs | direct_lines 1 | key fw.passthrough
    else
        (run firewall-cmd --query-panic | sed 's/^/fw.panic /') &
        (run firewall-cmd --direct --get-all-rules | key fw.direct) &
        (run firewall-cmd --direct --get-all-passthroughs | key fw.passthrough) &
        wait
    fi | grep -vE '^fw\.(direct|passthrough) (ipv6|eb) '
    tr -d '\n' </etc/firewalld/direct.xml | tr '<' '\n' |
        sed -n -e 's/^rule .*ipv="ipv4".*>/fw.permanent rule &/p' -e 's/^passthrough .*ipv="ipv4".*>/fw.permanent passthrough &/p'
    for file in /etc/firewalld/policies/*.xml; do
        [ -e "$file" ] || continue
        name=$(basename "$file" .xml)
        echo "fw.policy $name $(tr '\n' ' ' <"$file" | sed 's/<?[^>]*>//; s/  */ /g' | cut -c1-380)"
    done
}

netfilter() {
    old=none nf=''
    names=/proc/net/ip_tables_names
    if [ -e $names ] && { [ ! -r $names ] || grep -q . $names; }; then
        old=present
        save=iptables-legacy-save
        have $save || save=iptables-save
        case $(run $save -V 2>&1) in *nf_tables*) save='' ;; esac
        if [ -r $names ] && [ -n "$save" ] && have "$save"; then
            echo "fw.list iptables-legacy ${save%-save}"
            while read -r table; do run $save -t "$table" </dev/null; done <$names >"$dir/legacy"
            LC_ALL=C tr -cd '\12\40-\176' <"$dir/legacy" | iptables_lines iptables-legacy
        else
            echo 'fw.missing iptables-legacy'
        fi
    fi
    if kernel_has_nf_tables; then
        case $(run iptables-save -V 2>&1) in *nf_tables*) nf=iptables-save ;; esac
        if [ -z "$nf" ] && have iptables-nft-save; then nf=iptables-nft-save; fi
        seen=' '
        if [ -n "$nf" ]; then
            if run $nf >"$dir/nf"; then
                echo "fw.list iptables ${nf%-save}"
                LC_ALL=C tr -cd '\12\40-\176' <"$dir/nf" | iptables_lines iptables
                seen=" $(sed -n 's/^\*//p' "$dir/nf" | tr '\n' ' ')"
            else
                echo 'fw.missing iptables'
            fi
        fi
        if have nft; then
            if run nft -a list ruleset >"$dir/nft"; then
                echo 'fw.list nft'
                LC_ALL=C tr -cd '\11\12\40-\176' <"$dir/nft" | nft_lines "$seen"
            else
                echo 'fw.missing nft'
            fi
        elif [ -z "$nf" ]; then
            echo 'fw.missing nft'
        fi
    elif [ $old = none ]; then
        echo 'fw.list none'
    fi
}

ufw_rules() {
    conf=/etc/ufw/ufw.conf
    [ -e $conf ] || return
    grep -q '^ENABLED=yes' $conf && grep -hE '^### tuple ### .* out' /etc/ufw/user.rules | sed 's/^### tuple ### //' | key fw.ufw
}

# SECTION RESERVE FILE: each later section is sure of its reserve, earlier ones may take what is left over.
pack() {
    started=$1 now=$2
    for part in facts:900 log:900 network:500 netfilter:900 firewalld:500 ufw:100 disk:100 journal:300; do
        [ ! -e "$dir/${part%:*}" ] || LC_ALL=C tr -cd '\11\12\40-\176' <"$dir/${part%:*}" | tr '\11' ' ' | sed "s/^/${part} /"
    done | awk -v limit=$limit -v seconds=$((now - started)) '
        { split($1, p, ":"); line = substr($0, length($1) + 2)
          if (line == "" ) next
          if (length(line) > 420) line = substr(line, 1, 417) "..."
          if (!(p[1] in reserve)) { order[++s] = p[1]; reserve[p[1]] = p[2] }
          text[p[1], ++lines[p[1]]] = line; size[p[1]] += length(line) + 1 }
        END {
            print "vmagent-probe 1"
            left = limit - 16 - 24 - s * 20
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
            print "end " seconds " " all + 0
        }'
}

# The late jobs and all that they started; only their own descendants.
end_jobs() {
    victims=$(cat /proc/[0-9]*/stat | sed 's/^\([0-9]*\) (.*) [A-Za-z] \([0-9]*\) .*/\1 \2/' | awk -v jobs="$1" '
        { parent[$1] = $2 }
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
    timeout=''
    ! timeout 1 true || timeout=yes
    started=$(date +%s)
    jobs=''
    for job in system service wire80 wire32526 network disk agent_log journal firewalld netfilter ufw_rules; do
        case $job in
            wire80) (ask 80 '/?comp=versions' >"$dir/$job"; : >"$dir/$job.done") </dev/null & ;;
            wire32526) (ask 32526 /versions >"$dir/$job"; : >"$dir/$job.done") </dev/null & ;;
            *) ($job >"$dir/$job"; : >"$dir/$job.done") </dev/null & ;;
        esac
        jobs="$jobs $job:$!"
    done
    while :; do
        running=''
        for job in $jobs; do [ -e "$dir/${job%:*}.done" ] || running="$running $job"; done
        now=$(date +%s)
        if [ -z "$running" ] || [ $((now - started)) -ge 6 ]; then break; fi
        sleep 0.1 || sleep 1
    done
    for job in $running; do echo "late ${job%:*}"; done >"$dir/late"
    [ -z "$running" ] || end_jobs "$running"
    cat "$dir/system" "$dir/late" "$dir/wire80" "$dir/wire32526" "$dir/service" >"$dir/facts"
    mv "$dir/agent_log" "$dir/log"
    mv "$dir/ufw_rules" "$dir/ufw"
    pack "$started" "$now"
}

main
