"""Registers, spills, shared memory and stack of every CUDA kernel, as nvcc reports them; needs nvcc, no GPU.

python -m benchmarks.cuda_resources            prints the table
python -m benchmarks.cuda_resources --write    puts it into docs/cuda.md
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from zkdl.cuda_sources import cuda_folder

ARCHITECTURES = ("80", "90", "100")
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "cuda.md"
BEGIN, END = "<!-- resources: begin -->", "<!-- resources: end -->"

THREADS = 128
# Of one multiprocessor, alike on sm_80, sm_90 and sm_100: registers, threads, blocks.
REGISTERS, MOST_THREADS, MOST_BLOCKS = 65536, 2048, 32
SHARED = {"80": 164 << 10, "90": 228 << 10, "100": 228 << 10}
RESERVED = 1024  # bytes of shared memory a block takes beside its own


@dataclass(frozen=True)
class Use:
    """What one kernel takes on one architecture; bytes a thread, `shared` bytes a block."""

    registers: int
    spills: int
    stack: int
    shared: int

    def resident(self, architecture: str) -> int:
        """Blocks of THREADS threads that fit on a multiprocessor together."""
        a_warp = -(-self.registers * 32 // 256) * 256
        by_registers = REGISTERS // (a_warp * THREADS // 32)
        by_shared = SHARED[architecture] // (self.shared + RESERVED)
        return min(by_registers, by_shared, MOST_THREADS // THREADS, MOST_BLOCKS)


def report(source: Path, architecture: str) -> dict[str, Use]:
    """Compile one source file and read what ptxas says about each of its entries."""
    with tempfile.TemporaryDirectory() as work:
        command = ["nvcc", f"-arch=sm_{architecture}", "-std=c++17", "-cubin", "-Werror", "all-warnings"]
        command += ["-Xptxas", "-v", str(source), "-o", str(Path(work) / "out.cubin")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{source.name} for sm_{architecture}:\n{done.stderr}")
    return parse(done.stderr)


def parse(text: str) -> dict[str, Use]:
    """ptxas's messages, entry by entry; spills of the functions that an entry calls count as its own."""
    found = {}
    for part in text.split("Compiling entry function '")[1:]:
        name = part.split("'", 1)[0]
        spills = sum(int(n) for n in re.findall(r"(\d+) bytes spill (?:stores|loads)", part))
        registers = int(re.search(r"Used (\d+) registers", part)[1])  # type: ignore[index]
        stack = re.search(r"(\d+) bytes cumulative stack size", part)
        shared = re.search(r"(\d+) bytes smem", part)
        found[name] = Use(registers, spills, int(stack[1]) if stack else 0, int(shared[1]) if shared else 0)
    return found


def compiler() -> str:
    """The version line of nvcc."""
    if shutil.which("nvcc") is None:
        sys.exit("cuda_resources: nvcc is not on the path; it comes with the CUDA toolkit, no GPU is needed")
    text = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"release [\d.]+, V[\d.]+", text)[0]  # type: ignore[index]


def table() -> str:
    """The Markdown table of all kernels of all source files."""
    head = ["kernel", *(f"registers sm_{a}" for a in ARCHITECTURES), "spills, bytes", "stack, bytes"]
    head += ["shared, bytes", "blocks resident (sm_90)"]
    lines = [f"nvcc {compiler()}, {THREADS} threads a block.", ""]
    lines += ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for source in sorted(cuda_folder().glob("*.cu")):
        uses = {a: report(source, a) for a in ARCHITECTURES}
        for name in sorted(uses["90"]):
            of = [uses[a][name] for a in ARCHITECTURES]
            cells = [f"`{name}`", *(str(use.registers) for use in of)]
            cells += [
                "/".join(dict.fromkeys(str(getattr(u, f)) for u in of)) for f in ("spills", "stack", "shared")
            ]
            lines.append("| " + " | ".join([*cells, str(uses["90"][name].resident("90"))]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the table or write it between its marks in docs/cuda.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/cuda.md")
    arguments = parser.parse_args()
    text = table()
    if not arguments.write:
        print(text)
        return
    before, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
