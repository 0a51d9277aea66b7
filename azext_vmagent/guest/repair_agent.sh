# The actions on the agent's service, its files and its package; a part of repair.sh.
# shellcheck shell=sh

shown() { systemctl show -p "$1" -- "$unit" | sed -n 's/^[^=]*=//p'; }

# The worker: the unit's own process or a child of it, by its command line.
worker() {
    main_pid=$(shown MainPID)
    # shellcheck disable=SC2013 # words of /proc
    for file in $(grep -ls -- -run-exthandlers /proc/[0-9]*/cmdline); do
        pid=${file#/proc/} pid=${pid%/*}
        if [ "$pid" != "$main_pid" ] && ! grep -qs "^PPid:[^0-9]*$main_pid\$" "/proc/$pid/status"; then continue; fi
        case $(tr '\0' ' ' <"$file") in *python*' -run-exthandlers'* | */waagent' -run-exthandlers'*) return 0 ;; esac
    done
    return 1
}

works() {
    [ "$(shown ActiveState)" = active ] && worker && [ "$(shown FreezerState)" != frozen ] && [ "$(sed -n 's/^State:[^A-Z]*\(.\).*/\1/p' "/proc/$pid/status")" != T ]
}

# start, enable, unmask, reset-start-limit, thaw: UNIT; restart: UNIT MODE PID, MODE detached or now, PID as diagnosed or -
service() {
    unit=$1
    case $unit in walinuxagent.service | waagent.service) ;; *) detail='not a unit of the agent'; return 1 ;; esac
    case $phase in
        precheck)
            if [ "$(shown LoadState)" = not-found ]; then
                if planned reinstall-agent; then detail='the package brings it'; return 0; fi
                detail='there is no such unit'
                return 2
            fi
            case $kind in
                start-agent) [ "$(shown ActiveState)" != active ] ;;
                enable-agent) case $(shown UnitFileState) in enabled | static | linked | alias | generated) false ;; esac ;;
                unmask-agent) case $(shown UnitFileState):$(shown LoadState) in masked*:* | *:masked) ;; *) false ;; esac ;;
                reset-start-limit) [ "$(shown ActiveState)" = failed ] ;;
                thaw-agent) ! works && { [ "$(shown FreezerState)" = frozen ] || stopped; } ;;
                restart-agent) [ "$3" = - ] || [ "$3" = "$(shown MainPID)" ] ;;
            esac || { detail='already so'; return 3; }
            ;;
        backup) systemctl show -p ActiveState -p UnitFileState -p MainPID -p FreezerState -- "$unit" >"$dir/$n.unit" ;;
        apply)
            case $kind in
                start-agent) systemctl --no-block start -- "$unit" ;;
                enable-agent) systemctl enable -- "$unit" ;;
                unmask-agent) case $(cat "$dir/$n.unit") in *masked-runtime*) systemctl --runtime unmask -- "$unit" ;; *) systemctl unmask -- "$unit" ;; esac ;;
                reset-start-limit) systemctl reset-failed -- "$unit" ;;
                thaw-agent) if [ "$(shown FreezerState)" = frozen ]; then systemctl thaw -- "$unit"; else systemctl kill -s CONT -- "$unit"; fi ;;
                restart-agent) restart "$2" ;;
            esac
            ;;
        verify) service_verified "$2" ;;
        undo)
            was=$(cat "$dir/$n.unit")
            case $kind in
                start-agent) systemctl stop -- "$unit" ;;
                enable-agent) systemctl disable -- "$unit" ;;
                unmask-agent) case $was in *masked-runtime*) systemctl --runtime mask -- "$unit" ;; *) systemctl mask -- "$unit" ;; esac ;;
                thaw-agent) case $was in *=frozen*) systemctl freeze -- "$unit" ;; *) systemctl kill -s STOP -- "$unit" ;; esac ;;
                *) detail='nothing to take back'; return 3 ;;
            esac
            ;;
    esac
}

stopped() { pid=$(shown MainPID) && grep -qs '^State:[^A-Z]*T' "/proc/$pid/status"; }

# Inside a run command a restart would end the channel that waits for this answer: it comes a little later, from outside.
restart() {
    [ "$1" = detached ] || { systemctl --no-block restart -- "$unit"; return; }
    if have systemd-run && systemd-run --quiet --on-active=10 --timer-property=AccuracySec=1s --unit="vmagent-restart-$name" \
        systemctl restart -- "$unit" </dev/null; then return 0; fi
    # shellcheck disable=SC2016 # the inner shell expands it
    set -- sh -c 'sleep 10; exec systemctl restart -- "$1"' vmagent-restart "$unit"
    if have setsid; then setsid "$@" </dev/null >/dev/null 2>&1 & else nohup "$@" </dev/null >/dev/null 2>&1 & fi
}

service_verified() {
    case $kind in
        enable-agent) case $(shown UnitFileState) in enabled*) return 0 ;; *) return 1 ;; esac ;;
        unmask-agent) case $(shown UnitFileState):$(shown LoadState) in *masked*) return 1 ;; *) return 0 ;; esac ;;
        reset-start-limit) [ "$(shown ActiveState):$(shown Result)" != failed:start-limit-hit ]; return ;;
    esac
    [ "$1" != detached ] || { detail='the restart follows in 10 s'; return 3; }
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
        if works && { [ "$kind" != restart-agent ] || ! grep -q "^MainPID=$(shown MainPID)\$" "$dir/$n.unit"; }; then
            first=$pid
            sleep 2
            if works && [ "$pid" = "$first" ]; then detail="active, worker $pid"; return 0; fi
        fi
        sleep 2
    done
    detail="$(shown ActiveState) $(shown Result), no lasting worker"
    return 1
}

disable_file() {
    file=/var/lib/waagent/disable_agent
    case $phase in
        precheck) [ -e $file ] || [ -L $file ] || { detail='there is none'; return 3; } ;;
        backup) cp -pP $file "$dir/$n.file" ;;
        apply) rm -f $file ;;
        verify) [ ! -e $file ] ;;
        undo) cp -pP "$dir/$n.file" $file ;;
    esac
}

# PATH: the agent's program or its interpreter, root's own, below /usr
executable() {
    case $1 in */../* | */./*) return 1 ;; /usr/*/waagent | /usr/*/python[0-9]* | /usr/libexec/platform-python*) ;; *) detail='not a program of the agent'; return 1 ;; esac
    [ -f "$1" ] || { detail='there is no such file'; return 2; }
    case $phase in
        precheck)
            [ "$(stat -L -c %u "$1")" = 0 ] || { detail='not a file of root'; return 2; }
            [ ! -x "$1" ] || { detail='already so'; return 3; }
            ;;
        backup) stat -L -c %a "$1" >"$dir/$n.mode" ;;
        apply) chmod a+x "$1" ;;
        verify) [ -x "$1" ] ;;
        undo) read -r mode <"$dir/$n.mode" && chmod "$mode" "$1" ;;
    esac
}

comes_up() { for program in /usr/sbin/waagent /usr/bin/waagent; do [ ! -x $program ] || case $(cd / && $program -version 2>&1) in *WALinuxAgent-*) return 0 ;; esac; done; return 1; }

# Whether what the package brings is there and works: for the agent its program, its configuration and its unit.
works_as_packaged() {
    case $1 in
        openssl) [ -n "$(openssl version)" ] ;;
        *) comes_up && [ -e /etc/waagent.conf ] && for unit in walinuxagent.service waagent.service; do [ "$(shown LoadState)" = not-found ] || return 0; done && return 1 ;;
    esac
}

# MANAGER PACKAGE
reinstall() {
    case $2 in walinuxagent | waagent | WALinuxAgent | python-azure-agent | python3-azure-agent | openssl) ;; *) detail='not a package of the agent'; return 1 ;; esac
    case $phase in
        precheck) have "$1" || { detail="there is no $1"; return 2; }; ! works_as_packaged "$2" || { detail='it works'; return 3; } ;;
        backup) cp -p /etc/waagent.conf "$dir/$n.conf" || [ ! -e /etc/waagent.conf ] ;;
        apply) install_package "$@" </dev/null >"$dir/$n.packages" 2>&1 || { why_not_installed; return 1; } ;;
        verify) works_as_packaged "$2" || { detail='installed, and it does not work'; return 1; } ;;
        undo) detail='a package is not taken back'; return 3 ;;
    esac
}

# Everything is fetched before anything is changed; no other package is removed. A configuration that was deleted comes
# back, one that was changed stays (dpkg(1), --force-confmiss and --force-confold).
install_package() {
    case $1 in
        apt-get)
            fetched "$2" || { apt 90 update && fetched "$2"; } || return 1
            DEBIAN_FRONTEND=noninteractive apt '' --no-remove -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-confmiss install --reinstall "$2"
            ;;
        dnf | yum) "$1" -q -y reinstall "$2" || "$1" -q -y install "$2" ;;
        zypper) zypper --non-interactive install --force "$2" ;;
        *) detail='no such package manager'; return 1 ;;
    esac
}

# apt SECONDS|'' WORDS: what only fetches may be ended at any time.
apt() {
    limit=${1:+timeout $1}
    shift
    # shellcheck disable=SC2086 # words of ours or none
    $limit apt-get -q -y -o DPkg::Lock::Timeout=60 -o Acquire::Retries=0 -o Acquire::http::Timeout=10 -o Acquire::https::Timeout=10 "$@"
}

# The words of its answer are read: it says 0 where it could not install again (apt 2.6).
fetched() {
    words=$(apt 150 --no-remove -d install --reinstall "$1" 2>&1)
    code=$?
    printf '%s\n' "$words"
    case $words in *'einstallation of '*' is not possible'*) return 1 ;; esac
    return $code
}

why_not_installed() {
    case $(tail -n 20 "$dir/$n.packages") in
        *'Could not get lock'* | *'held by process'* | *'System management is locked'* | *'waiting for it to exit'*) detail='the package manager is in use' ;;
        *'emporary failure resolving'* | *'ould not resolve'* | *'ould not connect'* | *'onnection timed out'* | *'nable to connect'* | *'annot download'* | *'etwork is unreachable'*)
            detail='no package source is reached' ;;
        *'nable to locate package'* | *'is not possible'* | *'no installation candidate'* | *'No match for argument'* | *'No provider of'*)
            detail='no package source has it' ;;
    esac
}
