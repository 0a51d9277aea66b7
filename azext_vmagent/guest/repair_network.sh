# The actions on firewalls, routes and interfaces; a part of repair.sh. A rule is taken away by the tool that owns it, and
# only while it still reads as in the plan; what a listing says is never put into a command but as one argument or as data.
# shellcheck shell=sh

all_answer() { case $before in '' | *none*) return 1 ;; esac; }

# Nothing to do where the thing is gone or does no harm; changed where it is gone and the Wire Server still does not answer.
absent() {
    if all_answer || marked "applying $n"; then detail='it is gone'; return 3; fi
    detail='it is not there as in the plan'
    return 2
}

# The place and the text of the first of the lines that reads so, its bytes that are not printable left out.
find_line() { TEXT=$1 awk '{ line = $0; gsub(/[^ -~]/, "", line) } line == ENVIRON["TEXT"] { print NR " " $0; exit }'; }

# --- iptables: BINARY TABLE CHAIN POSITION TEXT; to allow: BINARY TABLE CHAIN out|in TEXT -------------------------------

in_iptables() {
    binary=$1 table=$2 chain=$3 text=$5
    case ${binary##*/} in iptables | iptables-nft | iptables-legacy | ip6tables | ip6tables-nft | ip6tables-legacy) ;; *) return 1 ;; esac
    case $table in '' | *[!a-z]*) return 1 ;; esac
    case $chain in '' | -* | *[\ \"\'\\]*) detail='a chain of this name is left alone'; return 1 ;; esac
    case $kind in remove-rule) remove_iptables "$4" ;; *) allow_iptables "$4" ;; esac
}

chain_rules() { "$binary" -w -t "$table" -S "$chain" | grep '^-A '; }

# A rule is data of iptables-restore, which reads quotes as iptables wrote them, and changes nothing else with --noflush.
change_iptables() {
    restore=$binary-restore wait=''
    case $("$restore" --help 2>&1) in *--wait*) wait='-w 5' ;; esac
    # shellcheck disable=SC2086 # words of ours
    printf '*%s\n%s\nCOMMIT\n' "$table" "$1" | "$restore" $wait --noflush
}

remove_iptables() {
    case $text in "-A $chain "*) ;; *) return 1 ;; esac
    case $phase in
        precheck)
            found=$(chain_rules | find_line "$text")
            if [ -z "$found" ] || { marked "applying $n" && fewer; }; then absent; return; fi
            if [ "$1" != - ] && [ "$1" != "${found%% *}" ] && ! marked backed-up; then detail="it is now at ${found%% *}"; return 2; fi
            ! all_answer || { detail='it stops nothing'; return 3; }
            ;;
        backup) ;;
        apply)
            chain_rules >"$dir/$n.chain"
            find_line "$text" <"$dir/$n.chain" >"$dir/$n.rule"
            [ -s "$dir/$n.rule" ] || return 2
            rule=$(cut -d ' ' -f 2- "$dir/$n.rule")
            unsave_iptables && change_iptables "-D ${rule#-A }"
            ;;
        verify) fewer ;;
        undo)
            line_back || return 1
            fewer || { detail='it is there'; return 3; }
            rule=$(cut -d ' ' -f 2- "$dir/$n.rule")
            read -r at_line _ <"$dir/$n.rule"
            last=$(($(chain_rules | wc -l) + 1))
            [ "$at_line" -le "$last" ] || at_line=$last
            change_iptables "-I $chain $at_line ${rule#-A "$chain" }"
            ;;
    esac
}

# Whether the chain holds one copy less of the rule than before this action.
fewer() {
    [ -s "$dir/$n.rule" ] || return 1
    rule=$(cut -d ' ' -f 2- "$dir/$n.rule")
    [ "$(chain_rules | grep -cFx -- "$rule")" -lt "$(grep -cFx -- "$rule" "$dir/$n.chain")" ]
}

allow_iptables() {
    case $1 in
        out) match="-d $wire/32 -p tcp -m multiport --dports 80,32526 -m owner --uid-owner 0" ;;
        in) match="-s $wire/32 -p tcp -m multiport --sports 80,32526" ;;
        *) return 1 ;;
    esac
    case $phase in
        precheck)
            ! all_answer || { detail='the Wire Server answers'; return 3; }
            case $text in
                "-P $chain "*) "$binary" -w -t "$table" -S "$chain" | grep -qFx -- "$text" ;;
                *) [ -n "$(chain_rules | find_line "$text")" ] ;;
            esac || { detail='it is not there as in the plan'; return 2; }
            ! allowed || { detail='it is there'; return 3; }
            ;;
        backup) ;;
        apply)
            case $text in
                "-P $chain "*) change_iptables "-A $chain $match -j ACCEPT" ;;
                *)
                    found=$(chain_rules | find_line "$text")
                    change_iptables "-I $chain ${found%% *} $match -j ACCEPT"
                    ;;
            esac
            ;;
        verify) allowed ;;
        undo)
            allowed || { detail='it is gone'; return 3; }
            change_iptables "-D $chain $match -j ACCEPT"
            ;;
    esac
}

# shellcheck disable=SC2086 # words of ours
allowed() { "$binary" -w -t "$table" -C "$chain" $match -j ACCEPT; }

# --- nft: FAMILY TABLE CHAIN HANDLE TEXT; to allow: FAMILY TABLE CHAIN HANDLE|- TEXT out|in ----------------------------

# nft puts its arguments together and reads them again: names that it would not take as one word are left alone.
in_nft() {
    for word in "$1" "$2" "$3"; do
        case $word in '' | [!A-Za-z_]* | *[!A-Za-z0-9_.-]*) detail='a chain of this name is left alone'; return 1 ;; esac
    done
    family=$1 table=$2 chain=$3 handle=$4 text=${5% # handle *}
    case $handle in -) [ "$kind" = allow-wire-server ] || return 1 ;; '' | *[!0-9]*) return 1 ;; esac
    case $kind in remove-rule) remove_nft ;; *) allow_nft "$6" ;; esac
}

nft_rules() { nft -a list chain "$family" "$table" "$chain" | sed -n 's/^[[:space:]][[:space:]]*[[:space:]]\(.* # handle [0-9]*\)$/\1/p'; }

nft_rule() { nft_rules | sed -n "s/ # handle $1\$//p"; }

plain() { sed 's/counter packets [0-9]* bytes [0-9]*/counter/' | tr -cd ' -~\n'; }

# Whether nft would read this rule as the one rule that it is: nothing ends it outside its quotes.
safe_rule() {
    case $1 in *' xt '* | 'xt '*) return 1 ;; esac
    case $(printf '%s\n' "$1" | sed 's/"[^"]*"//g') in *[\;\"\\\#\$]*) return 1 ;; esac
}

remove_nft() {
    case $phase in
        precheck)
            rule=$(nft_rule "$handle")
            [ "$(printf '%s\n' "$rule" | plain)" = "$(printf '%s\n' "$text" | plain)" ] || { absent; return; }
            ! all_answer || { detail='it stops nothing'; return 3; }
            safe_rule "$rule" || { detail='nft could not put this rule back'; return 1; }
            ;;
        backup) ;;
        apply)
            nft_rules | grep -n " # handle $handle\$" | sed 's/ # handle [0-9]*$//; s/:/ /' >"$dir/$n.rule"
            [ "$(cut -d ' ' -f 2- "$dir/$n.rule" | plain)" = "$(printf '%s\n' "$text" | plain)" ] || { detail='it changed'; return 2; }
            unsave_nft && nft delete rule "$family" "$table" "$chain" handle "$handle"
            ;;
        verify) [ -z "$(nft_rule "$handle")" ] ;;
        undo)
            [ -s "$dir/$n.rule" ] || return 3
            line_back || return 1
            [ -z "$(nft_rule "$handle")" ] || { detail='it is there'; return 3; }
            read -r at_line _ <"$dir/$n.rule"
            rule=$(cut -d ' ' -f 2- "$dir/$n.rule")
            safe_rule "$rule" || return 1
            next=$(nft_rules | sed -n "${at_line}s/.* # handle //p")
            if [ -n "$next" ]; then where="insert rule $family $table $chain position $next"; else where="add rule $family $table $chain"; fi
            printf '%s %s\n' "$where" "$rule" | nft -f -
            ;;
    esac
}

allow_nft() {
    case $1 in
        out) match="ip daddr $wire tcp dport { 80, 32526 } meta skuid 0" ;;
        in) match="ip saddr $wire tcp sport { 80, 32526 }" ;;
        *) return 1 ;;
    esac
    case $phase in
        precheck)
            ! all_answer || { detail='the Wire Server answers'; return 3; }
            [ -z "$(ours)" ] || { detail='it is there'; return 3; }
            if [ "$handle" = - ]; then
                nft list chain "$family" "$table" "$chain" | grep -q 'hook .*policy drop;'
            else
                [ "$(nft_rule "$handle" | plain)" = "$(printf '%s\n' "$text" | plain)" ]
            fi || { detail='it is not there as in the plan'; return 2; }
            ;;
        backup) ;;
        apply)
            if [ "$handle" = - ]; then where="add rule $family $table $chain"; else where="insert rule $family $table $chain position $handle"; fi
            printf '%s %s accept comment "azure-vmagent"\n' "$where" "$match" | nft -f -
            ;;
        verify) [ -n "$(ours)" ] ;;
        undo)
            [ -n "$(ours)" ] || { detail='it is gone'; return 3; }
            nft delete rule "$family" "$table" "$chain" handle "$(ours)"
            ;;
    esac
}

ours() { nft_rules | sed -n 's/^ip .*'"$wire"'.* accept comment "azure-vmagent" # handle //p' | head -n 1; }

# --- firewalld: SCOPE (runtime, permanent, both), then the rule's words; rich and policy: SCOPE ZONE|POLICY RULE -------

# firewalld VERB SCOPE WORDS: add, remove or query; 0 yes or done, 1 no, else firewalld's own error.
firewalld() {
    verb=$1 permanent=''
    [ "$2" != permanent ] || permanent=--permanent
    shift 2
    # shellcheck disable=SC2086 # one word of ours or none
    case $tool in
        firewalld-direct) firewall-cmd -q $permanent --direct "--$verb-rule" "$@" ;;
        firewalld-passthrough) firewall-cmd -q $permanent --direct "--$verb-passthrough" "$@" ;;
        firewalld-rich) firewall-cmd -q $permanent --zone="$1" "--$verb-rich-rule=$2" ;;
        firewalld-policy) firewall-cmd -q $permanent --policy="$1" "--$verb-rich-rule=$2" ;;
        *) return 2 ;;
    esac </dev/null
}

scopes() { case $1 in both) echo runtime permanent ;; runtime | permanent) echo "$1" ;; esac; }

in_firewalld() {
    scope=$1
    shift
    [ -n "$(scopes "$scope")" ] || return 1
    case $phase in
        precheck)
            seen=''
            for one in $(scopes "$scope"); do
                firewalld query "$one" "$@"
                case $? in 0) seen="$seen $one" ;; 1) ;; *) detail='firewalld did not answer'; return 1 ;; esac
            done
            [ -n "$seen" ] || { absent; return; }
            case $seen in *permanent*) ;; *) ! all_answer || { detail='it stops nothing'; return 3; } ;; esac
            detail=${seen# }
            ;;
        backup) for one in $(scopes "$scope"); do ! firewalld query "$one" "$@" || echo "$one"; done >"$dir/$n.scopes" ;;
        apply) while read -r one; do ! firewalld query "$one" "$@" || firewalld remove "$one" "$@" || return 1; done <"$dir/$n.scopes" ;;
        verify) for one in $(scopes "$scope"); do ! firewalld query "$one" "$@" || return 1; done ;;
        undo) while read -r one; do firewalld query "$one" "$@" || firewalld add "$one" "$@" || return 1; done <"$dir/$n.scopes" ;;
    esac
}

panic() {
    case $phase in
        precheck) firewall-cmd -q --query-panic || { absent; return; } ;;
        apply) firewall-cmd -q --panic-off ;;
        verify) ! firewall-cmd -q --query-panic ;;
        undo) firewall-cmd -q --panic-on ;;
    esac
}

# SCOPE POLICY: two rich rules of the policy that drops, which stays as it is.
allow_in_policy() {
    [ -n "$(scopes "$1")" ] || return 1
    for port in 80 32526; do
        rule="rule family=\"ipv4\" destination address=\"$wire/32\" port port=\"$port\" protocol=\"tcp\" accept"
        for one in $(scopes "$1"); do
            case $phase in
                precheck) ! all_answer || { detail='the Wire Server answers'; return 3; } ;;
                backup) ! firewalld query "$one" "$2" "$rule" || true >"$dir/$n.$one.$port" ;;
                apply) firewalld query "$one" "$2" "$rule" || firewalld add "$one" "$2" "$rule" || return 1 ;;
                verify) firewalld query "$one" "$2" "$rule" || return 1 ;;
                undo) [ -e "$dir/$n.$one.$port" ] || ! firewalld query "$one" "$2" "$rule" || firewalld remove "$one" "$2" "$rule" || return 1 ;;
            esac
        done
    done
}

# --- ufw: TUPLE WORDS of the rule; to allow: TUPLE or - ------------------------------------------------------------------

in_ufw() {
    tuple=$1 rules=/etc/ufw/user.rules
    if [ "$kind" = allow-wire-server ]; then set -- allow out proto tcp to $wire port 80,32526; else shift; fi
    case $1 in deny | reject | allow) ;; *) return 1 ;; esac
    case $kind:$phase in
        allow-wire-server:precheck) ! all_answer || { detail='the Wire Server answers'; return 3; } ;;
        allow-wire-server:apply) ufw insert 1 "$@" || ufw "$@" ;;
        allow-wire-server:verify) ufw_tuples | grep -q "^allow tcp 80,32526 $wire " ;;
        allow-wire-server:undo) ufw --force delete "$@" ;;
        *:precheck) [ -n "$(ufw_tuples | find_line "$tuple")" ] || { absent; return; }; ! all_answer || { detail='it stops nothing'; return 3; } ;;
        *:backup) ufw_tuples | find_line "$tuple" >"$dir/$n.rule" ;;
        *:apply) ufw --force delete "$@" ;;
        *:verify) [ -z "$(ufw_tuples | find_line "$tuple")" ] ;;
        *:undo)
            [ -z "$(ufw_tuples | find_line "$tuple")" ] || { detail='it is there'; return 3; }
            read -r at_line _ <"$dir/$n.rule"
            if [ "$at_line" -le "$(ufw_tuples | wc -l)" ]; then ufw insert "$at_line" "$@"; else ufw "$@"; fi
            ;;
    esac >/dev/null
}

ufw_tuples() { sed -n 's/^### tuple ### //p' "$rules"; }

# --- routes and routing rules: the words of the listing; a rule: PRIORITY WORDS ------------------------------------------

route() {
    case $1 in blackhole | unreachable | prohibit) ;; *) return 1 ;; esac
    case $phase in
        precheck) [ -n "$(same_route "$@")" ] || { absent; return; }; ! all_answer || { detail='it stops nothing'; return 3; } ;;
        backup) ;;
        apply) ip -4 route del "$@" ;;
        verify) [ -z "$(same_route "$@")" ] ;;
        undo) [ -z "$(same_route "$@")" ] || { detail='it is there'; return 3; }; ip -4 route add "$@" ;;
    esac
}

same_route() { ip -4 route show table all | sed 's/  */ /g; s/ $//' | find_line "$*"; }

policy_rule() {
    priority=$1
    shift
    case $priority in '' | *[!0-9]*) return 1 ;; esac
    case $* in *' blackhole' | *' unreachable' | *' prohibit') ;; *) return 1 ;; esac
    case $phase in
        precheck) [ -n "$(same_rule "$@")" ] || { absent; return; }; ! all_answer || { detail='it stops nothing'; return 3; } ;;
        backup) ;;
        apply) ip -4 rule del "$@" priority "$priority" ;;
        verify) [ -z "$(same_rule "$@")" ] ;;
        undo) [ -z "$(same_rule "$@")" ] || { detail='it is there'; return 3; }; ip -4 rule add "$@" priority "$priority" ;;
    esac
}

same_rule() { ip -4 rule show | sed 's/[ \t][ \t]*/ /g; s/ $//' | find_line "$priority: $*"; }
