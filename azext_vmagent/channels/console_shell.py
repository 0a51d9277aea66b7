"""What a session at the serial console runs in the guest: POSIX sh that takes a script and answers in short lines.

Nothing is written in the guest; the shell that was there is replaced, keeps no history and ends by itself.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib


def loader(mark: str, seconds: int, at_end: str = "") -> str:
    """One command line for whatever shell the user has: no backslash, no quote inside the quotes, a blank in front.

    It replaces that shell, so that nothing enters its history and leaving it is logging out. It ends after
    ``seconds`` in any case, and runs ``at_end`` then. Lines are read up to a dot, each acknowledged by the length so
    far; then they are run.
    """
    return (
        f" exec env HISTFILE= ENV= LC_ALL=C sh -c 'm={mark};stty -echo;"
        f'g(){{ kill "$s";exit;}};(trap g TERM;sleep {seconds}& s=$!;wait "$s";kill -TERM $$;sleep 4;kill -9 $$)& k=$!;'
        f'x(){{ kill "$k";{at_end}}};trap x EXIT;trap exit INT TERM HUP;echo "<$m:go>";p=;'
        'while IFS= read -r l&&[ "$l" != . ];do p=$p$l;echo "<$m:${#p}>";done;eval "$p"\''
    )


#: a maintenance shell is left at sulogin's prompt, as it was found, unless the boot is to go on
GO = "go"
BACK_TO_SULOGIN = f'[ "$l" = {GO} ]||exec sulogin "$(tty)";'


def runner(steady: bool) -> str:
    """Become root, take the script, run it, print its answer in numbered lines until told to stop. One line of sh.

    ``steady``: neither an interrupt nor a hang-up reaches the script.
    """
    return _RUNNER.replace("STEADY", 'trap "" INT QUIT HUP;' if steady else "").replace("\n", "")


_RUNNER = r"""
w(){ echo "<$m:$1>";};
r=;
if [ "$(id -u)" != 0 ];then
 r="sudo -n";
 if ! sudo -n true >/dev/null 2>&1;then
  w ask;IFS= read -r s;r=pw;
  printf "%s\n" "$s"|sudo -kSp "" true >/dev/null 2>&1||{ w nosudo;exit;};
 fi;
fi;
b=;
if command -v base64 >/dev/null&&command -v gzip >/dev/null;then
 w gz;
 while IFS= read -r l&&[ "$l" != . ];do b=$b$l;w ${#b};done;
 b=$(printf %s "$b"|base64 -d 2>/dev/null|gzip -dc 2>/dev/null)||{ w damaged;exit;};
 pack(){ gzip -c|base64;};
else
 n=$(printf "\n_");n=${n%_};
 w raw;
 while IFS= read -r l&&[ "$l" != .END ];do b=$b$l$n;w ${#b};done;
 pack(){ od -An -v -tx1|tr -d " ";};
fi;
w run;
go(){
 STEADY
 if [ "$r" = pw ];then printf "%s\n" "$s" "$b"|sudo -kSp "" sh -s;else printf "%s\n" "$b"|$r sh -s;fi 2>/dev/null;
};
o=$(go|pack);
e(){ i=0;for l in $o;do i=$((i+1));w "$i:$l";done;w "end:$i:${#o}";};
e;
while IFS= read -r l&&[ "$l" = again ];do e;done;
exit
"""


def packed(script: str) -> str:
    """The script for the runner: one word."""
    return base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode()


def unpacked(lines: list[str | None], how: str) -> str | None:
    """The output, or None when a line is missing or the whole does not fit its checksum."""
    if not lines or None in lines:
        return None
    whole = "".join(line or "" for line in lines)
    try:
        if how == "gz":
            return zlib.decompress(base64.b64decode(whole, validate=True), 31).decode("utf-8", "replace")
        return bytes.fromhex(whole).decode("utf-8", "replace")
    except (ValueError, binascii.Error, zlib.error):
        return None
