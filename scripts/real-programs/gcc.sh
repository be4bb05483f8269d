# gcc: a file of 21,000 lines
awk 'BEGIN { for (i = 0; i < 3000; i++) printf "int f%d(int x)\n{\n    int y = x * %d;\n    if (y > %d)\n        y -= f%d(x - 1);\n    return y;\n}\n", i, i + 3, i * 5, (i > 0 ? i - 1 : 0) }' |
    sed 's/f0(x - 1)/1/' >generated.c
gcc -O1 -c generated.c -o generated.o
wc -l <generated.c
sha256sum <generated.o
