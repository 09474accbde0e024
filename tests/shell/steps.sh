# The steps of ./test that are more than one command. Sourced, not run.

# tools: what the build and the checks need besides Rust itself.
tools() {
    if ! command -v cargo >/dev/null; then
        printf 'error: `cargo` is missing; install Rust from https://rustup.rs\n' >&2
        return 1
    fi
    # SQLite is compiled from its C source.
    need cc gcc libc6-dev
    component rustfmt fmt
    component clippy clippy
    cargo --version
}

# component NAME SUBCOMMAND: makes sure that a part of the Rust tool chain is there.
component() {
    if cargo "$2" --version >/dev/null 2>&1; then
        return 0
    fi
    if ! command -v rustup >/dev/null; then
        printf 'error: `cargo %s` is missing; install %s with your Rust tool chain\n' "$2" "$1" >&2
        return 1
    fi
    rustup component add "$1"
}
