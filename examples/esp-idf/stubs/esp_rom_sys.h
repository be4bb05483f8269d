/* Stub of ESP-IDF's esp_rom_sys.h: see sdkconfig.h. */
#pragma once

int esp_rom_printf(const char *format, ...);
