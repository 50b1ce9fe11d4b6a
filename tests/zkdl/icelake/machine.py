"""Runs compiled kernels on an emulated Ice Lake: real machine code, instruction by instruction, in Bochs.

Processors with AVX-512 IFMA are rare where tests run, and the code for them must not be believed on the word
of its twins alone. So the very object code that numba would load there is linked with a boot sector and a few
lines of C into a disk image; Bochs boots it, and the results come back through its debug port.

Needs Debian's `bochs`, gcc and binutils.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
FEATURES = (
    "+64bit,+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2,"
    "+lzcnt,+adx,+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl,+avx512ifma"
)
# Code and data are loaded between 64 KB and 576 KB.
_ROOM = 512 << 10

_CONFIGURATION = """\
megs: 128
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=corei7_icelake_u, count=1, ips=100000000
ata0-master: type=disk, path="{disk}", mode=flat, cylinders=20, heads=16, spt=63
boot: disk
display_library: rfb, options="timeout=0"
port_e9_hack: enabled=1
plugin_ctrl: speaker=0, e1000=0, es1370=0, sb16=0
panic: action=fatal
error: action=ignore
info: action=ignore
log: {log}
"""


def missing() -> str | None:
    """What this machine lacks, or None."""
    for tool in ("bochs", "gcc", "ld", "objcopy"):
        if shutil.which(tool) is None:
            return f"{tool} is not on this machine"
    return None


def run_kernel(work: Path, module: str, kernel: str, arguments: Sequence[object]) -> list[np.ndarray]:
    """Call one kernel in the emulator.

    Args:
        work: an empty folder.
        module: dotted name of the kernel's module.
        kernel: the kernel's name in it.
        arguments: numpy scalars (their dtype is the type) and flat arrays, in order.

    Returns:
        All array arguments as the kernel left them.
    """
    values = [np.asarray(value) for value in arguments]
    names = [f"{value.dtype.name}[]" if value.ndim else value.dtype.name for value in values]
    job, code = work / "job.json", work / "kernel.o"
    job.write_text(json.dumps({"module": module, "kernel": kernel, "arguments": names}))
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "icelake-server",
        "NUMBA_CPU_FEATURES": FEATURES,
        "NUMBA_CACHE_DIR": str(work / "cache"),
    }
    command = [sys.executable, "-m", "tests.zkdl.icelake.emit", str(job), str(code)]
    symbol = _call(command, cwd=HERE.parents[2], env=environment).strip()
    (work / "main.c").write_text(_program(symbol, values))
    _build(work)
    output = _boot(work)
    out = []
    lines = iter(output.splitlines())
    for value in values:
        if value.ndim:
            words = [int(next(lines), 16) for _ in range(value.nbytes // 8)]
            out.append(np.array(words, np.uint64).view(value.dtype))
    return out


def _program(symbol: str, values: Sequence[np.ndarray]) -> str:
    """C that holds the arguments, calls the kernel as numba would, and prints the arrays."""
    text = [
        "typedef unsigned long word;",
        "static inline void out(unsigned short port, unsigned char byte) {",
        '  __asm__ volatile("outb %0, %1" : : "a"(byte), "Nd"(port)); }',
        "static void print(const word *a, long n) { for (long i = 0; i < n; i++) {",
        '  for (int s = 60; s >= 0; s -= 4) out(0xe9, "0123456789abcdef"[(a[i] >> s) & 15]);',
        "  out(0xe9, 10); } }",
        "void *memset(void *to, int byte, word n) {",
        "  for (word i = 0; i < n; i++) ((volatile char *)to)[i] = byte; return to; }",
        "void *memcpy(void *to, const void *from, word n) {",
        "  for (word i = 0; i < n; i++) ((volatile char *)to)[i] = ((const char *)from)[i]; return to; }",
    ]
    parameters, call, prints = ["void *", "void **"], ["&result", "&error"], []
    for k, value in enumerate(values):
        if value.ndim == 0:
            parameters.append("long")
            call.append(f"{int(value)}L")
            continue
        assert value.nbytes % 8 == 0
        assert value.flags.c_contiguous
        words = ",".join(f"0x{int(word):x}UL" for word in value.view(np.uint64))
        text.append(f"static word a{k}[{value.nbytes // 8}] __attribute__((aligned(64))) = {{{words}}};")
        # numba passes an array as: meminfo, parent, items, bytes an item, data, shape, strides.
        parameters += ["void *", "void *", "long", "long", "void *", "long", "long"]
        size = value.itemsize
        call += ["0", "0", f"{value.size}", f"{size}", f"a{k}", f"{value.size}", f"{size}"]
        prints.append(f"print(a{k}, {value.nbytes // 8});")
    text += [
        f"extern int kernel({', '.join(parameters)}) __asm__({json.dumps(symbol)});",
        '__attribute__((section(".text.start"))) void start(void) {',
        "  static word result[64]; static void *error;",
        f"  kernel({', '.join(call)});",
        f"  {' '.join(prints)}",
        '  for (const char *s = "Shutdown"; *s; s++) out(0x8900, *s);',
        "  for (;;) ; }",
    ]
    return "\n".join(text)


def _build(work: Path) -> None:
    plain = [
        "-O1",
        "-ffreestanding",
        "-fno-stack-protector",
        "-fno-pic",
        "-mno-red-zone",
        "-mgeneral-regs-only",
    ]
    _call(["gcc", *plain, "-c", "main.c", "-o", "main.o"], cwd=work)
    # The object also holds numba's wrapper for Python, whose symbols nobody calls.
    script = str(HERE / "link.ld")
    link = ["ld", "-T", script, "--unresolved-symbols=ignore-all", "--no-warn-rwx-segments"]
    _call([*link, "-o", "main.elf", "main.o", "kernel.o"], cwd=work)
    _call(["objcopy", "-O", "binary", "main.elf", "main.bin"], cwd=work)
    size = (work / "main.bin").stat().st_size
    assert size <= _ROOM, f"image of {size} bytes: more than the boot sector loads"
    _call(["gcc", "-c", f"-DSECTORS={-(-size // 512)}", str(HERE / "boot.S"), "-o", "boot.o"], cwd=work)
    _call(["ld", "-Ttext", "0x7c00", "--oformat", "binary", "-o", "boot.bin", "boot.o"], cwd=work)
    image = (work / "boot.bin").read_bytes() + (work / "main.bin").read_bytes()
    (work / "disk.img").write_bytes(image.ljust(20 * 16 * 63 * 512, b"\0"))


def _boot(work: Path) -> str:
    (work / "bochsrc").write_text(_CONFIGURATION.format(disk=work / "disk.img", log=work / "bochs.log"))
    (work / "debugger").write_text("c\n")
    command = ["bochs", "-q", "-f", "bochsrc", "-rc", "debugger"]
    # It ends with an error status by itself: the shutdown port counts as a panic.
    done = subprocess.run(
        command, cwd=work, capture_output=True, text=True, errors="replace", timeout=300, input=""
    )
    log = (work / "bochs.log").read_text(errors="replace")
    told = f"the emulated machine did not finish:\n{done.stdout[-2000:]}\n{log[-2000:]}"
    assert "Shutdown port" in log, told
    lines = [line for line in done.stdout.splitlines() if re.fullmatch("[0-9a-f]{16}", line)]
    return "\n".join(lines)


def _call(command: Sequence[str], **options) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, f"{command[0]}: {done.stderr[-2000:]}"
    return done.stdout
