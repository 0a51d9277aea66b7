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
            [ "$(shown LoadState)" != not-found ] || { detail='there is no such unit'; return 2; }
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
    if have systemd-run && systemd-run --quiet --on-active=5 --timer-property=AccuracySec=1s --unit="vmagent-restart-$name" \
        systemctl restart -- "$unit" </dev/null; then return 0; fi
    # shellcheck disable=SC2016 # the inner shell expands it
    set -- sh -c 'sleep 5; exec systemctl restart -- "$1"' vmagent-restart "$unit"
    if have setsid; then setsid "$@" </dev/null >/dev/null 2>&1 & else nohup "$@" </dev/null >/dev/null 2>&1 & fi
}

service_verified() {
    case $kind in
        enable-agent) case $(shown UnitFileState) in enabled*) return 0 ;; *) return 1 ;; esac ;;
        unmask-agent) case $(shown UnitFileState):$(shown LoadState) in *masked*) return 1 ;; *) return 0 ;; esac ;;
        reset-start-limit) [ "$(shown ActiveState):$(shown Result)" != failed:start-limit-hit ]; return ;;
    esac
    [ "$1" != detached ] || { detail='the restart follows in 5 s'; return 3; }
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

# MANAGER PACKAGE
reinstall() {
    case $2 in walinuxagent | waagent | WALinuxAgent | python-azure-agent | python3-azure-agent) ;; *) detail='not a package of the agent'; return 1 ;; esac
    case $phase in
        precheck) have "$1" || { detail="there is no $1"; return 2; }; ! comes_up || { detail='it comes up'; return 3; } ;;
        backup) cp -p /etc/waagent.conf "$dir/$n.conf" || [ ! -e /etc/waagent.conf ] ;;
        apply)
            case $1 in
                apt-get) DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=60 install --reinstall "$2" ;;
                dnf | yum) "$1" -q -y reinstall "$2" || "$1" -q -y install "$2" ;;
                zypper) zypper --non-interactive install --force "$2" ;;
                *) detail='no such package manager'; return 1 ;;
            esac </dev/null >"$dir/$n.packages" 2>&1
            ;;
        verify) comes_up ;;
        undo) detail='a package is not taken back'; return 3 ;;
    esac
}
