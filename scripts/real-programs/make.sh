# make -j2: thirty files, optimised, and a program from them that runs
{
    printf 'objects := '
    for i in $(seq 30); do printf 'part%d.o ' "$i"; done
    printf '\nall: program\nprogram: main.o $(objects)\n\tgcc -o $@ $^\n%%.o: %%.c\n\tgcc -O2 -c -o $@ $<\n'
} >Makefile
for i in $(seq 30); do
    awk -v n="$i" 'BEGIN { print "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>"
        for (i = 0; i < 50; i++) printf "static int g%d(const char *s, int x)\n{\n    int y = x;\n    for (size_t i = 0; i < strlen(s); i++) y = y * 31 + s[i] %% %d;\n    return y;\n}\n", i, i + 3
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
