#!/usr/bin/env bash
# Prints the functions that a header declares, one a line, sorted: header-functions.sh include/memoman.h
set -euo pipefail
# Without comments and preprocessor lines, a function is a name right before a parenthesis.
gcc -fpreprocessed -dD -E -P -x c "$1" | grep -v '^#' | grep -oE '\bmm_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u
