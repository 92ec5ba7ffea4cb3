# Prints the lines of this host's logs that belong to some requests, and which logs there are.
# Arguments: ids, servers (commas between), since and until (as the logs write the time, each may be empty),
# the same two in seconds since the epoch, how many lines of each log at most, then the sources.
# What it prints: "#file NAME<tab>SIZE<tab>FIRST LINE", "#missing SOURCE", "#cut NAME", and ">LINE" of the log.
LC_ALL=C
export LC_ALL
ids=$1 subjects=$2 since=$3 until=$4 from=$5 to=$6 most=$7
shift 7
BLOCK=65536
IFS='
' # so that a path may have spaces in it
patterns=$(printf '%s' "$ids,$subjects" | tr ',' '\n' | sed '/^$/d')

sift() { # NAME: the wanted lines of what comes in, with what continues them
    grep -a -F -A 250 -e "$patterns" 2>/dev/null | awk -v ids="$ids" -v subjects="$subjects" -v since="$since" \
        -v until="$until" -v most="$most" -v name="$1" '
        BEGIN { n = split(ids, I, ","); m = split(subjects, S, ",") }
        $0 == "--" { before = 0; next }
        {
            if (match($0, /^[0-9]+\.[0-9]+ [^ ]+ [^ ]+: /)) {
                body = substr($0, RLENGTH + 1)
                if (body ~ /^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] /) $0 = body
            }
            dated = ($0 ~ /^([0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]|[0-9]+\.[0-9]+ |\{)/)
            hit = 0
            for (i = 1; i <= n && !hit; i++) if (index($0, I[i])) hit = 1
            at = substr($0, 1, 19); sub("T", " ", at)
            in_time = ((since == "" || at >= since) && (until == "" || at <= until)) || at !~ /^[0-9][0-9][0-9][0-9]-/
            for (i = 1; i <= m && !hit; i++) if (index($0, S[i])) hit = in_time
            if (!hit && before)
                hit = !dated || ($3 == pid && $5 == module && $4 ~ /ERROR|CRITICAL|TRACE/ && !/ \[(-\]|None |req-)/)
            before = hit
            if (!hit) next
            if (dated) { pid = $3; module = $5 }
            if (++lines > most) { print "#cut " name; exit }
            print ">" substr($0, 1, 4000)
        }'
}

time_at() { # FILE BLOCK: the first whole line's time from there on
    dd if="$1" bs=$BLOCK skip="$2" count=1 2>/dev/null |
        awk -v first="$2" 'NR == 1 && first > 0 { next }
            /^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][ T]/ { t = substr($0, 1, 19); sub("T", " ", t); print t; exit }'
}

block_of() { # FILE BLOCKS TIME: the last block that begins before that time
    low=0 high=$2
    while [ $((high - low)) -gt 1 ]; do
        middle=$(((low + high) / 2))
        at=$(time_at "$1" $middle)
        if [ -n "$at" ] && expr "$at" \< "$3" >/dev/null; then low=$middle; else high=$middle; fi
    done
    echo $low
}

part() { # FILE SIZE: what was written within the time
    blocks=$(($2 / BLOCK + 1)) first=0
    [ -n "$since" ] && [ $blocks -gt 4 ] && first=$(block_of "$1" $blocks "$since")
    if [ -n "$until" ] && [ $blocks -gt 4 ]; then
        last=$(block_of "$1" $blocks "$until")
        dd if="$1" bs=$BLOCK skip="$first" count=$((last - first + 2)) 2>/dev/null
    elif [ "$first" -gt 0 ]; then
        dd if="$1" bs=$BLOCK skip="$first" 2>/dev/null
    else
        cat -- "$1"
    fi
}

unpacked() { # FILE
    case $1 in
    *.gz) gzip -dc -- "$1" ;;
    *.xz) xz -dc -- "$1" ;;
    *.zst) zstd -dcq -- "$1" ;;
    *.bz2) bzip2 -dc -- "$1" ;;
    *) cat -- "$1" ;;
    esac 2>/dev/null
}

files() { # PATTERN
    seen=0
    for file in $1; do
        [ -f "$file" ] && [ -r "$file" ] || continue
        seen=1
        facts=$(stat -c '%s %Y' -- "$file" 2>/dev/null) || continue
        size=${facts% *} changed=${facts#* }
        begins=$(unpacked "$file" | head -c 2000 | awk '/^[0-9][0-9][0-9][0-9]-/ { print substr($0, 1, 19); exit }')
        printf '#file %s\t%s\t%s\n' "$file" "$size" "$begins"
        [ -n "$from" ] && [ "$changed" -lt "$from" ] && continue
        [ -n "$until" ] && [ -n "$begins" ] && expr "$begins" \> "$until" >/dev/null && continue
        case $file in
        *.gz | *.xz | *.zst | *.bz2) unpacked "$file" | sift "$file" ;;
        *)
            if [ -z "$since$until" ]; then sift "$file" <"$file"; else part "$file" "$size" | sift "$file"; fi
            ;;
        esac
    done
    [ $seen = 1 ] || echo "#missing $1"
}

journal() { # UNIT
    units=$(systemctl list-units --all --plain --no-legend "$1.service" 2>/dev/null | head -n 1)
    [ -n "$units" ] || { echo "#missing journal:$1"; return; }
    printf '#file journal:%s\t0\t\n' "$1"
    set -- "$1" ${from:+--since=@$from} ${to:+--until=@$to}
    unit=$1
    shift
    journalctl --quiet --no-pager --output=short-unix --unit="$unit" "$@" 2>/dev/null | sift "journal:$unit"
}

container() { # PROGRAM NAME
    "$1" inspect --format '{{.Id}}' "$2" >/dev/null 2>&1 || { echo "#missing $1:$2"; return; }
    printf '#file %s:%s\t0\t\n' "$1" "$2"
    program=$1 name=$2
    set -- ${from:+--since=$from} ${to:+--until=$to}
    "$program" logs "$@" "$name" 2>&1 | sift "$program:$name"
}

for source in "$@"; do
    case $source in
    journal:*) journal "${source#journal:}" ;;
    docker:* | podman:*) container "${source%%:*}" "${source#*:}" ;;
    *) files "$source" ;;
    esac
done
exit 0
