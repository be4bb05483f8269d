/* The version in the library, in the macros and in their sum; prints it. */
#include <memoman.h>
#include <stdio.h>
#include <string.h>
int main(void) {
    char parts[32];
    snprintf(parts, sizeof parts, "%d.%d.%d", MM_VERSION_MAJOR, MM_VERSION_MINOR,
             MM_VERSION_PATCH);
    printf("%s\n", mm_version());
    return strcmp(mm_version(), MM_VERSION_STRING) != 0 || strcmp(parts, MM_VERSION_STRING) != 0
        || MM_VERSION != MM_VERSION_MAJOR * 10000 + MM_VERSION_MINOR * 100 + MM_VERSION_PATCH;
}
