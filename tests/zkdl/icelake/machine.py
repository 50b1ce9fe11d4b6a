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

from .record import Call

HERE = Path(__file__).parent
FEATURES = (
    "+64bit,+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2,"
    "+lzcnt,+adx,+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl,+avx512ifma"
)
# Code and data are loaded between 64 KB and 576 KB.
_ROOM = 512 << 10

_BIOS = Path("/usr/share/bochs")
_CONFIGURATION = """\
megs: 128
romimage: file={bios}/BIOS-bochs-latest
vgaromimage: file={bios}/VGABIOS-lgpl-latest
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
    for name in ("BIOS-bochs-latest", "VGABIOS-lgpl-latest"):
        if not (_BIOS / name).exists():
            return f"{_BIOS / name} is not on this machine: install bochsbios and vgabios"
    return None


def compile_calls(folder: Path, calls: Sequence[Call]) -> list[str]:
    """Object code of every call's kernel, folder/0.o and so on; returns the names of the functions."""
    jobs = []
    for call in calls:
        names = [a.dtype.name if isinstance(a, np.generic) else f"{a[0]}[]" for a in call.arguments]
        jobs.append({"module": call.module, "kernel": call.kernel, "arguments": names})
    (folder / "jobs.json").write_text(json.dumps(jobs))
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "icelake-server",
        "NUMBA_CPU_FEATURES": FEATURES,
        "NUMBA_CACHE_DIR": str(folder / "cache"),
    }
    command = [sys.executable, "-m", "tests.zkdl.icelake.emit", str(folder)]
    return _call(command, cwd=HERE.parents[2], env=environment).split()


def run(work: Path, code: Path, symbol: str, call: Call) -> tuple[int, list[bytes]]:
    """Do one call in the emulator.

    Args:
        work: an empty folder.
        code: object code from `compile_calls`.
        symbol: the function in it.
        call: arguments and memory.

    Returns:
        The word that the kernel returned, and the memory as it left it.
    """
    shutil.copy(code, work / "kernel.o")
    (work / "main.c").write_text(_program(symbol, call))
    _build(work)
    words = np.array([int(line, 16) for line in _boot(work)], np.uint64)
    blocks, place = [], 1
    for block in call.before:
        size = -(-len(block) // 8)
        blocks.append(words[place : place + size].tobytes()[: len(block)])
        place += size
    assert place == words.size
    return int(words[0]), blocks


def _program(symbol: str, call: Call) -> str:
    """C that holds the memory, calls the kernel as numba would, and prints the memory."""
    text = ["typedef unsigned long word;", "void print_words(const word *, long);", "void shut_down(void);"]
    prints = []
    for k, block in enumerate(call.before):
        padded = np.frombuffer(block.ljust(-(-len(block) // 8) * 8, b"\0"), np.uint64)
        words = ",".join(f"0x{int(word):x}UL" for word in padded)
        text.append(f"static word m{k}[{max(1, padded.size)}] __attribute__((aligned(64))) = {{{words}}};")
        prints.append(f"print_words(m{k}, {padded.size});")
    parameters, values = ["void *", "void **"], ["&result", "&error"]
    for argument in call.arguments:
        if isinstance(argument, np.generic):
            parameters.append("long")
            values.append(f"{int(argument)}L")
            continue
        dtype, block, first, items = argument
        size = np.dtype(dtype).itemsize
        # numba passes an array as: meminfo, parent, items, bytes an item, data, shape, strides.
        parameters += ["void *", "void *", "long", "long", "void *", "long", "long"]
        values += ["0", "0", f"{items}", f"{size}", f"(char *)m{block} + {first}", f"{items}", f"{size}"]
    text += [
        f"extern int kernel({', '.join(parameters)}) __asm__({json.dumps(symbol)});",
        '__attribute__((section(".text.start"))) void start(void) {',
        "  static word result; static void *error;",
        f"  kernel({', '.join(values)});",
        f"  print_words(&result, 1); {' '.join(prints)}",
        "  shut_down(); }",
    ]
    return "\n".join(text)


def _build(work: Path) -> None:
    bare = ["-ffreestanding", "-fno-stack-protector", "-fno-pic", "-mno-red-zone", "-mgeneral-regs-only"]
    for source in (work / "main.c", HERE / "runtime.c"):
        _call(["gcc", "-O1", *bare, "-c", str(source), "-o", f"{source.stem}.o"], cwd=work)
    # The object also holds numba's wrapper for Python, whose symbols nobody calls.
    script = str(HERE / "link.ld")
    link = ["ld", "-T", script, "--unresolved-symbols=ignore-all", "--no-warn-rwx-segments"]
    _call([*link, "-o", "main.elf", "main.o", "runtime.o", "kernel.o"], cwd=work)
    _call(["objcopy", "-O", "binary", "main.elf", "main.bin"], cwd=work)
    size = (work / "main.bin").stat().st_size
    assert size <= _ROOM, f"image of {size} bytes: more than the boot sector loads"
    _call(["gcc", "-c", f"-DSECTORS={-(-size // 512)}", str(HERE / "boot.S"), "-o", "boot.o"], cwd=work)
    _call(["ld", "-Ttext", "0x7c00", "--oformat", "binary", "-o", "boot.bin", "boot.o"], cwd=work)
    image = (work / "boot.bin").read_bytes() + (work / "main.bin").read_bytes()
    (work / "disk.img").write_bytes(image.ljust(20 * 16 * 63 * 512, b"\0"))


def _boot(work: Path) -> list[str]:
    (work / "bochsrc").write_text(
        _CONFIGURATION.format(bios=_BIOS, disk=work / "disk.img", log=work / "bochs.log")
    )
    (work / "debugger").write_text("c\n")
    command = ["bochs", "-q", "-f", "bochsrc", "-rc", "debugger"]
    # It ends with an error status by itself: the shutdown port counts as a panic.
    done = subprocess.run(
        command, cwd=work, capture_output=True, text=True, errors="replace", timeout=300, input=""
    )
    log = (work / "bochs.log").read_text(errors="replace")
    told = f"the emulated machine did not finish:\n{done.stdout[-2000:]}\n{log[-2000:]}"
    assert "Shutdown port" in log, told
    return [line for line in done.stdout.splitlines() if re.fullmatch("[0-9a-f]{16}", line)]


def _call(command: Sequence[str], **options) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, **options)
    assert done.returncode == 0, f"{command[0]}: {done.stderr[-2000:]}"
    return done.stdout
