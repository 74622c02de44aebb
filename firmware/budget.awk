# Reads `avr-size -A`; prints flash and RAM against flash=, ram= and stack= bytes; fails if something does not fit.
function line(what, used, limit, note) {
    printf "%-6s %6d of %6d B%s%s\n", what, used, limit, note, (used > limit ? ": " (used - limit) " B too many" : "")
    failed = failed || (used > limit)
}
$1 ~ /^\.(text|rodata|data)$/ { in_flash += $2 }
$1 ~ /^\.(data|bss|noinit)$/ { in_ram += $2 }
END {
    line("flash", in_flash, flash, "")
    line("RAM", in_ram + stack, ram, ", with " stack " B for the stack")
    exit failed
}
