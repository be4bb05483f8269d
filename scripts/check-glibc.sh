#!/usr/bin/env bash
# glibc's own tests of malloc under the shim: scripts/check-glibc.sh [DIST]
#
# Their sources come from Debian's package glibc-source; nothing of them is part of this project.
# Each test runs without the shim first: one that fails there, or calls itself unsupported, is
# skipped, because it shows nothing. Needs apt-get, dpkg, xz and a C compiler.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
group=glibc
shim=$(cd "${1:-$root/dist}" && pwd)/libmemoman_preload.so
folder=$target/glibc-tests

# Left out, with the reason.
left_out() {
    case $1 in
        tst-alloc_buffer | tst-dynarray* | tst-scratch_buffer | tst-obstack)
            echo "tests a container of glibc, not malloc" ;;
        tst-compathooks-* | tst-mallocstate)
            echo "tests symbols that only programs linked to an old glibc have" ;;
        tst-interpose-aux* | tst-interpose-skeleton) echo "a part of other tests" ;;
        tst-interpose-static-*) echo "is linked statically: nothing is preloaded" ;;
        tst-malloc-check | tst-mtrace | tst-tcfree[123] | tst-safe-linking)
            echo "tests the debugging, or the messages, of glibc's own malloc" ;;
        tst-malloc-stats-cancellation) echo "looks for words of glibc's own table" ;;
        tst-mallocalign1) echo "computes the sizes of glibc's own blocks" ;;
        tst-malloc-usable-tunables | tst-malloc-usable | tst-mxfast)
            echo "tests tunables and parameters of glibc's own malloc" ;;
        *) return 1 ;;
    esac
}

mkdir -p "$folder/objects"
cd "$folder"
if [ ! -d glibc/malloc ]; then
    apt-get download -qq glibc-source
    dpkg -x glibc-source_*.deb package
    mkdir -p glibc
    tar -C glibc --strip-components=1 -xf package/usr/src/glibc/glibc-*.tar.xz \
        --wildcards '*/malloc/*' '*/support/*' '*/include/*.h' '*/test-skeleton.c'
    mkdir -p headers
    for name in array_length allocate_once intprops libc-diag libc-pointer-arith scratch_buffer; do
        cp "glibc/include/$name.h" headers/
    done
    : >headers/config.h
fi
flags=(-w -O1 -std=gnu11 -D_GNU_SOURCE -D_ISOMAC=1 -DTIMEOUTFACTOR=8 "-DTEST_ROOT=\"\""
    -include limits.h -Iheaders -Iglibc -Iglibc/support)
if [ ! -f libsupport.a ]; then
    # What needs glibc's internals does not compile, and no test here needs it.
    for file in glibc/support/*.c; do
        name=$(basename "$file" .c)
        case $name in
            tst-* | test-driver | test-container | links-dso* | shell-* | echo-* | true-*) ;;
            *) gcc "${flags[@]}" -c "$file" -o "objects/$name.o" 2>"objects/$name.log" || true ;;
        esac
    done
    # What glibc's makefile generates.
    printf 'const char %s[] = "/";\n' support_{srcdir,objdir,install}_root \
        support_install_{prefix,rootsbindir} support_{complocaledir,libdir,bindir}_prefix \
        support_{sbindir,slibdir}_prefix support_objdir_elf_ldso >paths.c
    gcc -c paths.c -o objects/support_paths.o
    ar rcs libsupport.a objects/*.o
fi

for file in glibc/malloc/tst-*.c; do
    name=$(basename "$file" .c)
    if reason=$(left_out "$name"); then
        skip "$name $reason"
        continue
    fi
    more=()
    case $name in
        tst-interpose-nothread) more=(glibc/malloc/tst-interpose-aux-nothread.c) ;;
        tst-interpose-thread) more=(glibc/malloc/tst-interpose-aux-thread.c) ;;
    esac
    if ! gcc "${flags[@]}" -fno-builtin "$file" "${more[@]}" libsupport.a -lpthread -lm -ldl \
        -o "$name" 2>"$name.log"; then
        skip "$name does not compile outside glibc ($folder/$name.log)"
    elif ! timeout 120 "./$name" >"$name.log" 2>&1; then
        skip "$name fails without the shim"
    else
        check "$name" env LD_PRELOAD="$shim" timeout 300 "./$name" || true
    fi
done
finish
