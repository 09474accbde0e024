# Headings, timings and the summary of ./test. Sourced, not run.

# Colours only where someone looks at them (https://no-color.org).
if [[ -t 1 && -z "${NO_COLOR:-}" ]]; then
    bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
    bold="" red="" green="" plain=""
fi

results=()
running=""
began=0

# step NAME COMMAND...: runs the command under a heading; a failure ends ./test.
step() {
    local name=$1
    shift
    running=$name
    began=$SECONDS
    printf '\n%s== %s%s\n' "$bold" "$name" "$plain"
    local status=0
    # In a shell of its own, so that `set -e` holds inside functions too.
    set +e
    (
        set -e
        "$@"
    )
    status=$?
    set -e
    running=""
    if ((status == 0)); then
        results+=("${green}passed${plain}  $name, $((SECONDS - began)) s")
    else
        results+=("${red}FAILED${plain}  $name, $((SECONDS - began)) s (exit status $status)")
        exit 1
    fi
}

# skip NAME WHY: says in the summary that a step was left out.
skip() {
    results+=("skipped $1: $2")
}

# script NAME FILE: runs a step that is a file of its own, when it is there.
script() {
    if [[ -e "$2" ]]; then
        step "$1" "$2"
    else
        skip "$1" "$2 is not there"
    fi
}

# summary: the last thing printed, whatever happened.
summary() {
    local status=$?
    if [[ -n "$running" ]]; then
        results+=("${red}ended${plain}   $running, after $((SECONDS - began)) s")
    fi
    printf '\n%s== summary%s\n' "$bold" "$plain"
    if ((${#results[@]} > 0)); then
        printf '%s\n' "${results[@]}"
    fi
    if ((status == 0)); then
        printf '%sall passed%s in %s s\n' "$green" "$plain" "$SECONDS"
    else
        printf '%snot passed%s after %s s\n' "$red" "$plain" "$SECONDS"
    fi
}
