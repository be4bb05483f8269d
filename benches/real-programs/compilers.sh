# shellcheck shell=bash
# Programs of run.py: compilers and what drives them. programs.sh has the rules.

# cargo build of this project's core
program_cargo() {
    cd "$ROOT"
    RUSTFLAGS="--remap-path-prefix=$OLDPWD=/target" cargo build --quiet --offline -p memoman-core \
        --release --target-dir "$OLDPWD/target"
    nm --defined-only "$OLDPWD"/target/release/libmemoman_core.rlib 2>/dev/null |
        awk 'NF == 3 { print $2, $3 }' | sort | sha256sum
}

# gcc: a file of 21,000 lines
program_gcc() {
    awk 'BEGIN {
        for (i = 0; i < 3000; i++) {
            printf "int f%d(int x)\n{\n    int y = x * %d;\n    if (y > %d)\n", i, i + 3, i * 5
            printf "        y -= f%d(x - 1);\n    return y;\n}\n", (i > 0 ? i - 1 : 0)
        }
    }' | sed 's/f0(x - 1)/1/' >generated.c
    gcc -O1 -c generated.c -o generated.o
    wc -l <generated.c
    sha256sum <generated.o
}

# make -j2: thirty files, optimised, and a program from them that runs
program_make() {
    {
        printf 'objects := '
        for i in $(seq 30); do printf 'part%d.o ' "$i"; done
        printf '\nall: program\nprogram: main.o $(objects)\n\tgcc -o $@ $^\n'
        printf '%%.o: %%.c\n\tgcc -O2 -c -o $@ $<\n'
    } >Makefile
    for i in $(seq 30); do
        awk -v n="$i" 'BEGIN { print "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>"
            for (i = 0; i < 50; i++) {
                printf "static int g%d(const char *s, int x)\n{\n    int y = x;\n", i
                print "    for (size_t i = 0; i < strlen(s); i++)"
                printf "        y = y * 31 + s[i] %% %d;\n", i + 3
                print "    return y;\n}"
            }
            printf "int part%d(int x)\n{\n", n
            for (i = 0; i < 50; i++) printf "    x ^= g%d(\"text %d\", x);\n", i, i * n
            print "    return x;\n}" }' >"part$i.c"
    done
    {
        echo '#include <stdio.h>'
        for i in $(seq 30); do echo "int part$i(int);"; done
        echo 'int main(void) { int x = 1;'
        for i in $(seq 30); do echo "x = part$i(x);"; done
        echo 'printf("%d\n", x); return 0; }'
    } >main.c
    make -s -j2
    ./program
    sha256sum program
}

# go: a program with C in it, on whose memory goroutines work
program_go() {
    cat >work.go <<'GO'
package main

/*
#include <stdlib.h>
#include <string.h>
static char *twice(const char *text) {
    size_t length = strlen(text);
    char *both = malloc(2 * length + 1);
    if (both == NULL) abort();
    memcpy(both, text, length);
    memcpy(both + length, text, length + 1);
    return both;
}
*/
import "C"

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"unsafe"
)

func work(seed int) [32]byte {
	hash := sha256.New()
	for i := 0; i < 40000; i++ {
		text := C.CString(fmt.Sprintf("%d and %d;", i, i*seed%1013))
		both := C.twice(text)
		hash.Write(C.GoBytes(unsafe.Pointer(both), C.int(C.strlen(both))))
		C.free(unsafe.Pointer(text))
		C.free(unsafe.Pointer(both))
	}
	var sum [32]byte
	copy(sum[:], hash.Sum(nil))
	return sum
}

func main() {
	var group sync.WaitGroup
	sums := make([][32]byte, 16)
	for n := range sums {
		group.Add(1)
		go func(n int) { defer group.Done(); sums[n] = work(n + 7) }(n)
	}
	group.Wait()
	fmt.Printf("%x\n", sums)
}
GO
    export HOME=$PWD GOCACHE=$PWD/cache GOFLAGS=-mod=mod GO111MODULE=off CGO_ENABLED=1
    go build -p 2 -o program work.go
    ./program | sha256sum
}
