# SPDX-License-Identifier: GPL-2.0

em-src := $(addprefix ../../kmod/,emulate_alu.c emulate_decode.c emulate_exec.c)

tests += emulate-decode
emulate-decode-src := emulate/decode.c $(em-src)

# Zydis alone takes most of the time
tests += emulate-zydis
emulate-zydis-src := emulate/zydis.c $(em-src)
emulate-zydis-cflags := -O2
emulate-zydis-libs := $(if $(wildcard /usr/include/Zydis/Zydis.h),-lZydis)

tests += emulate-cpu
emulate-cpu-src := emulate/cpu.c $(em-src)
emulate-cpu-cflags := -O2

tests += emulate-exec
emulate-exec-src := emulate/exec.c $(em-src)
