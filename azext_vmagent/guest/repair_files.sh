# Lines that are taken out of files, and put back; a part of repair.sh. The rest of the file stays byte for byte.
# shellcheck shell=sh

# A file of root's own, which no link leads elsewhere.
roots_file() { [ -f "$1" ] && [ ! -L "$1" ] && [ "$(stat -c %u "$1")" = 0 ]; }

# cut_line FILE NUMBER
cut_line() {
    printf '%s\n' "$1" >"$dir/$n.path"
    cp -p "$1" "$dir/$n.file" && awk -v at="$2" 'NR != at' "$1" >"$dir/$n.cut" && cat "$dir/$n.cut" >"$1"
}

# The file as it was; one that somebody changed meanwhile is left.
line_back() {
    [ -s "$dir/$n.path" ] && [ -e "$dir/$n.cut" ] || return 0
    IFS= read -r file <"$dir/$n.path"
    [ "$(cksum <"$file")" != "$(cksum <"$dir/$n.file")" ] || return 0
    [ "$(cksum <"$file")" = "$(cksum <"$dir/$n.cut")" ] || { detail="$file changed since"; return 1; }
    cp -p "$dir/$n.file" "$file"
}

# --- a unit's drop-in: UNIT PATH SETTING -----------------------------------------------------------------------------------

setting() {
    unit=$1 file=$2 text=$3
    case $unit in walinuxagent.service | waagent.service) ;; *) detail='not a unit of the agent'; return 1 ;; esac
    case ${file##*/}:$file in
        *[!A-Za-z0-9_.@-]*:*) return 1 ;;
        *.conf:"/etc/systemd/system/$unit.d/${file##*/}" | *.conf:"/run/systemd/system/$unit.d/${file##*/}") ;;
        *.conf:"/etc/systemd/system.control/$unit.d/${file##*/}" | *.conf:"/run/systemd/system.control/$unit.d/${file##*/}") ;;
        *) detail='not a drop-in of the agent'; return 1 ;;
    esac
    case $text in
        IPAddressDeny*=* | PrivateNetwork*=* | NetworkNamespacePath*=* | RestrictAddressFamilies*=* | Condition*=* | Assert*=*) ;;
        *) detail='not a setting that is taken out'; return 1 ;;
    esac
    case $phase in
        precheck)
            [ -e "$file" ] || { detail='the file is gone'; return 3; }
            roots_file "$file" || { detail='not a file of root'; return 2; }
            case $(set_at) in
                '') detail='it is gone'; return 3 ;;
                goes-on) detail='a line that goes on is left alone'; return 1 ;;
            esac
            ;;
        backup) ;;
        apply) cut_line "$file" "$(set_at)" && systemctl daemon-reload ;;
        verify) [ -z "$(set_at)" ] ;;
        undo) line_back && systemctl daemon-reload ;;
    esac
}

# The number of the first line that reads so; one that goes on, or that goes on from the line before, is another setting.
set_at() {
    TEXT=$text awk '
        { line = $0; sub(/^[ \t]+/, "", line); gsub(/[^ -~]/, "", line); again = $0 ~ /\\$/ }
        line == ENVIRON["TEXT"] { if (going || again) print "goes-on"; else print NR; exit }
        { going = again }' "$file"
}

# --- a rule that is loaded from a file when the guest boots -----------------------------------------------------------------

# The same rule of the same chain is taken out of the file that a boot loads; where it reads otherwise there, that is said.
unsave_iptables() {
    case ${binary##*/} in ip6*) files='/etc/iptables/rules.v6 /etc/sysconfig/ip6tables' ;; *) files='/etc/iptables/rules.v4 /etc/sysconfig/iptables' ;; esac
    for file in $files; do
        roots_file "$file" || continue
        found=$(TEXT=$text awk -v table="*$table" '/^\*/ { here = $1 == table } here && $0 == ENVIRON["TEXT"] { print NR; exit }' "$file")
        unsave "$found" || return 1
    done
}

unsave_nft() {
    for file in /etc/nftables.conf /etc/sysconfig/nftables.conf; do
        roots_file "$file" || continue
        found=$(TEXT=$(printf '%s\n' "$text" | plain) TABLE="table $family $table {" CHAIN="chain $chain {" ADD="add rule $family $table $chain " awk '
            { line = $0; gsub(/^[ \t]+|[ \t]+$/, "", line); sub(/counter packets [0-9]+ bytes [0-9]+/, "counter", line) }
            line ~ /^table / { here = line == ENVIRON["TABLE"]; chain = "" }
            line ~ /^chain / { chain = line }
            here && chain == ENVIRON["CHAIN"] && line == ENVIRON["TEXT"] || line == ENVIRON["ADD"] ENVIRON["TEXT"] { print NR; exit }' "$file")
        unsave "$found" || return 1
        if [ -n "$found" ] && nft -c -f "$dir/$n.file" && ! nft -c -f "$file"; then line_back; detail="it returns from $file"; fi
    done
}

unsave() {
    if [ -n "$1" ] && [ ! -s "$dir/$n.path" ]; then
        cut_line "$file" "$1" || return 1
        detail="also out of $file"
    elif grep -qF "$wire" "$file"; then detail="see $file: it may return"
    fi
}
