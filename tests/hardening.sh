#!/bin/sh
# hardening.sh PROGRAM...: is all that the Makefile's HARDENING and LINKING ask for in the ELF files that came of it?
set -u
failed=0
complain() {
    echo "hardening: $program $1" >&2
    failed=1
}

has() { # PATTERN WHAT: in the text that is $seen
    echo "$seen" | grep -qE -- "$1" || complain "has no $2"
}

lacks() { # PATTERN WHAT
    if echo "$seen" | grep -qE -- "$1"; then complain "has $2"; fi
}

check_segments() {
    seen=$(readelf -lW "$program")
    has 'Elf file type is DYN' 'position-independent code'
    has '^ *GNU_RELRO ' 'RELRO segment'
    has '^ *GNU_STACK .* RW +0x' 'stack segment that is not executable'
    lacks '^ *LOAD .* (RWE|WE) ' 'a segment that is writable and executable'
    seen=$(readelf -dW "$program")
    has 'FLAGS_1.*NOW' 'BIND_NOW, so RELRO is partial'
    has 'FLAGS_1.*PIE' 'PIE mark'
    lacks '\((RPATH|RUNPATH)\)' 'a library path of its own'
    lacks 'TEXTREL' 'relocations in its code'
}

# Functions of the C library that the compiler puts in.
check_symbols() {
    seen=$(readelf -W --dyn-syms "$program")
    has ' __stack_chk_fail@' 'stack protector'
    for name in snprintf vsnprintf memcpy; do
        has " __${name}_chk@" "fortified $name"
    done
}

# gcc notes for each of our source files how it was compiled. Some of it leaves no other trace.
check_compiler() {
    units=$(readelf -wi "$program" 2>/dev/null | grep -E 'DW_AT_producer .*GNU C')
    count=$(echo "$units" | grep -c .)
    [ "$count" -gt 0 ] || complain 'has no notes of gcc (build it with gcc and -g)'
    machine=
    case $(uname -m) in x86_64) machine=-fcf-protection ;; esac
    for flag in -fPIE -fstack-protector-strong -fstack-clash-protection $machine; do
        with=$(echo "$units" | grep -c -- "$flag")
        [ "$with" -eq "$count" ] || complain "was compiled with $flag in $with of $count files"
    done
}

[ $# -gt 0 ] || { echo 'usage: hardening.sh PROGRAM...' >&2; exit 64; }
for program in "$@"; do
    [ -f "$program" ] || { complain 'is not there: run make first'; continue; }
    check_segments
    check_symbols
    check_compiler
done
[ "$failed" -eq 0 ] && echo "hardening: fine"
exit "$failed"
