# Installs what a step needs, with the system's package manager and only when it is missing.
# Sourced by ./test and by the scripts of its steps.

# need COMMAND PACKAGE...: makes sure that a command is there. The packages carry Debian's names;
# on other systems they are named in the message, and installed by hand.
need() {
    local command=$1
    shift
    if command -v "$command" >/dev/null; then
        return 0
    fi
    if ! command -v apt-get >/dev/null; then
        printf 'error: `%s` is missing; install it (Debian calls it: %s)\n' "$command" "$*" >&2
        return 1
    fi
    local as_root=()
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null; then
            printf 'error: `%s` is missing; as root: apt-get install %s\n' "$command" "$*" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    printf '`%s` is missing; installing %s\n' "$command" "$*"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends "$@"
    command -v "$command" >/dev/null
}
