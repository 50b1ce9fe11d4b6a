"""Run PTX kernels in Python: an independent reading of the device code for machines without a GPU.

A kernel becomes the source of a Python generator: registers are local integers, the condition code is `cc`, a
barrier is a `yield`, memory is a list of 32-bit words. Only what nvcc emits for this project's kernels is
known; anything else raises UnknownInstruction, so nothing is silently misread.
"""

import functools
import re

WORD = 0xFFFFFFFF
SHARED_BASE = 0  # each kernel here has one shared array; its symbol is the address 0 of its own memory

# Right-hand sides of plain instructions by opcode without types; {w} is the operand width mask.
_VALUES = {
    "mov": "{0}",
    "cvta": "{0}",
    "add": "({0} + {1}) & {w}",
    "sub": "({0} - {1}) & {w}",
    "neg": "-{0} & {w}",
    "not": "~{0} & {w}",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
    "xor": "{0} ^ {1}",
    "shl": "({0} << {1}) & {w}",
    "shr": "{0} >> {1}",
    "mul.lo": "({0} * {1}) & {w}",
    "div": "{0} // {1}",
    "rem": "{0} % {1}",
    "min": "min({0}, {1})",
    "max": "max({0}, {1})",
    "mul.hi": "({0} * {1}) >> 32",
    "mul.wide": "{0} * {1}",
    "mad.lo": "({0} * {1} + {2}) & {w}",
    "addc": "({0} + {1} + cc) & {w}",
    "subc": "({0} - {1} - cc) & {w}",
    "madc.hi": "((({0} * {1}) >> 32) + {2} + cc) & {w}",
    "selp": "({0} if {2} else {1})",
}
# Instructions that set the condition code: the full value, of which bit 32 is the flag.
_CARRIES = {
    "add.cc": "{0} + {1}",
    "addc.cc": "{0} + {1} + cc",
    "sub.cc": "{0} - {1}",
    "subc.cc": "{0} - {1} - cc",
    "mad.lo.cc": "(({0} * {1}) & 0xffffffff) + {2}",
    "madc.lo.cc": "(({0} * {1}) & 0xffffffff) + {2} + cc",
    "madc.hi.cc": "(({0} * {1}) >> 32) + {2} + cc",
}
# The same for signed types, over operands turned into negative integers where their top bit is set.
_SIGNED_VALUES = {
    "abs": "abs({0}) & {w}",
    "shr": "({0} >> {1}) & {w}",
    "min": "min({0}, {1}) & {w}",
    "max": "max({0}, {1}) & {w}",
    "mul.wide": "({0} * {1}) & 0xffffffffffffffff",
}
_CONVERSIONS = {
    "cvt.u64.u32": "{0}",
    "cvt.u32.u64": "{0} & 0xffffffff",
    "cvt.s64.s32": "signed({0}, 32) & 0xffffffffffffffff",
}
_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_SPECIAL = {"%tid.x": "tid", "%ntid.x": "ntid", "%ctaid.x": "ctaid", "%nctaid.x": "nctaid"}
_UNSIGNED_TYPES = ("u32", "b32", "u64", "b64")
_SIGNED_TYPES = ("s32", "s64")
# Instructions whose signed form has the same bits as the unsigned one.
_SIGN_FREE = {"mov", "add", "sub", "neg", "mul.lo", "mad.lo", "setp.eq", "setp.ne", "cvta", "selp"}


class UnknownInstruction(Exception):
    """The PTX holds something this reader was not taught."""


def kernels(ptx):
    """Map each entry of a PTX text to a function run(grid, block, memory, arguments)."""
    entries = re.finditer(r"\.entry (\w+)\((.*?)\)(.*?)\n\{(.*?)\n\}", ptx, re.S)
    return {m[1]: _Kernel(m[1], m[4]) for m in entries}


class _Kernel:
    """One entry; its text is read at the first use: a file may hold kernels this reader cannot run."""

    def __init__(self, name, body):
        self._name, self._body = name, body

    @functools.cached_property
    def _make(self):
        source = _translate(self._name, self._body)
        namespace = {"read": _read, "write": _write, "fetch_add": _fetch_add, "signed": _signed}
        # The text is ours, compiled from cuda/.
        exec(compile(source, f"<ptx {self._name}>", "exec"), namespace)
        return namespace["kernel"]

    def run(self, grid, block, memory, arguments):
        """Run all blocks in turn, the threads of one block from barrier to barrier.

        `memory` is a list of 32-bit words, changed in place; pointers in `arguments` are byte offsets.
        """
        for ctaid in range(grid):
            shared = [0] * 16384
            threads = [self._make(tid, block, ctaid, grid, arguments, memory, shared) for tid in range(block)]
            while threads:
                threads = [t for t in threads if next(t, None) is not None]


def _read(memory, address, count=1):
    if address % (4 * count):
        raise ValueError(f"misaligned read of {count} words at byte {address}")
    return memory[address // 4 : address // 4 + count]


def _write(memory, address, values):
    if address % (4 * len(values)) or address // 4 + len(values) > len(memory):
        raise ValueError(f"misaligned or outside write of {len(values)} words at byte {address}")
    memory[address // 4 : address // 4 + len(values)] = values


def _fetch_add(memory, address, by):
    (before,) = _read(memory, address)
    _write(memory, address, [(before + by) & WORD])
    return before


def _signed(value, bits):
    return value - ((value >> (bits - 1) & 1) << bits)


def _translate(name, body):
    lines = [re.sub(r"//.*", "", line).strip() for line in body.splitlines()]
    lines = [line for line in lines if line and not line.startswith((".", "{", "}"))]
    labels = {line[:-1]: k + 1 for k, line in enumerate(x for x in lines if re.fullmatch(r"\$\w+:", x))}
    out = ["def kernel(tid, ntid, ctaid, nctaid, params, glob, shared):", " cc = pc = 0", " while True:"]
    out.append("  if pc == 0:")
    block = 0
    for line in lines:
        if line.endswith(":"):
            block += 1
            out += [f"   pc = {block}", f"  if pc == {block}:"]
            continue
        out += ["   " + text for text in _instruction(name, line.rstrip(";"), labels)]
    out.append(" yield  # never reached: makes a generator of a kernel without barriers too")
    return "\n".join(out)


def _instruction(kernel, line, labels):
    guard = re.match(r"@(!?)(%p\d+)\s+", line)
    if guard:
        line = line[guard.end() :]
    opcode, _, rest = line.partition(" ") if " " in line else line.partition("\t")
    operands = [x.strip() for x in re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s][^,]*", rest)]
    text = _statements(kernel, opcode.strip(), operands, labels, line)
    if guard:
        condition = f"{'not ' if guard[1] else ''}{_register(guard[2])}"
        return [f"if {condition}:"] + [" " + t for t in text]
    return text


def _statements(kernel, opcode, operands, labels, line):
    parts = opcode.split(".")
    if parts[0] == "bra":
        return [f"pc = {labels[operands[0]]}", "continue"]
    if parts[0] == "ret":
        return ["return"]
    if parts[0] in ("bar", "barrier"):
        return ["yield True"]
    if parts[0] == "ld" and parts[1] == "param":
        index = int(re.search(r"_param_(\d+)\]", operands[1])[1])
        return [f"{_register(operands[0])} = params[{index}]"]
    if parts[0] in ("ld", "st"):
        return _memory(parts, operands)
    kind = parts[-1]
    width = 0xFFFFFFFFFFFFFFFF if kind.endswith("64") and parts[0] != "mul.wide" else WORD
    if parts[0] == "atom":
        return _atomic(opcode, operands, line)
    if parts[0] == "cvt":
        if opcode not in _CONVERSIONS:
            raise UnknownInstruction(f"{kernel}: {line}")
        value = _operand(operands[1], 0xFFFFFFFFFFFFFFFF)
        return [f"{_register(operands[0])} = {_CONVERSIONS[opcode].format(value)}"]
    name = parts[0] if parts[0] == "cvta" else ".".join(parts[:-1])
    values = [_operand(x, width) for x in operands[1:]]
    target = _register(operands[0])
    if parts[0] == "setp" and len(parts) == 3:
        if kind in _SIGNED_TYPES:
            values = [f"signed({x}, {kind[1:]})" for x in values]
        elif kind not in _UNSIGNED_TYPES:
            raise UnknownInstruction(f"{kernel}: {line}")
        return [f"{target} = {values[0]} {_COMPARE[parts[1]]} {values[1]}"]
    if kind in _SIGNED_TYPES and name in _SIGNED_VALUES:
        values = [f"signed({x}, {kind[1:]})" for x in values]
        return [f"{target} = {_SIGNED_VALUES[name].format(*values, w=hex(width))}"]
    if name in _CARRIES:
        _check_sign(name, kind, line)
        flag = "cc = (t >> 32) & 1"
        return [f"t = {_CARRIES[name].format(*values)}", f"{target} = t & 0xffffffff", flag]
    if kind == "pred" and name == "not":
        return [f"{target} = not {values[0]}"]
    if name in _VALUES:
        _check_sign(name, kind, line)
        return [f"{target} = {_VALUES[name].format(*values, w=hex(width))}"]
    raise UnknownInstruction(f"{kernel}: {line}")


def _atomic(opcode, operands, line):
    if opcode != "atom.global.add.u32":
        raise UnknownInstruction(line)
    target, where, by = operands
    return [f"{_register(target)} = fetch_add(glob, {_address(where)}, {_operand(by, WORD)})"]


def _check_sign(name, kind, line):
    if kind not in _UNSIGNED_TYPES and name not in _SIGN_FREE and kind != "pred":
        raise UnknownInstruction(line)


def _memory(parts, operands):
    space, kind = {"global": "glob", "shared": "shared"}.get(parts[1]), parts[-1]
    if space is None or kind not in ("u32", "b32", "s32", "u64", "b64"):
        raise UnknownInstruction(".".join(parts))
    data, where = operands if parts[0] == "ld" else reversed(operands)
    names = [x.strip() for x in data.strip("{}").split(",")]
    address = _address(where)
    if kind.endswith("64"):
        if len(names) > 1 or parts[0] == "st":
            raise UnknownInstruction(".".join(parts))
        return [f"low, high = read({space}, {address}, 2)", f"{_register(names[0])} = low | high << 32"]
    if parts[0] == "ld":
        out = [f"{', '.join(_register(x) for x in names)}, = read({space}, {address}, {len(names)})"]
        # A narrow load into a wide register extends the sign.
        extend = kind == "s32" and names[0].startswith("%rd")
        return out + [f"{r} = signed({r}, 32) & 0xffffffffffffffff" for r in map(_register, names) if extend]
    return [f"write({space}, {address}, [{', '.join(_operand(x, WORD) for x in names)}])"]


def _address(where):
    base, _, offset = where.strip("[]").partition("+")
    return f"{_operand(base, 0xFFFFFFFFFFFFFFFF)} + {int(offset or 0)}"


def _register(text):
    return text.replace("%", "r_")


def _operand(text, width):
    if text in _SPECIAL:
        return _SPECIAL[text]
    if text.startswith("%"):
        return _register(text)
    if re.fullmatch(r"-?(0x[0-9a-fA-F]+|\d+)U?", text):
        return hex(int(text.rstrip("U"), 0) & width)
    if re.fullmatch(r"_Z\w*shared\w*", text):
        return str(SHARED_BASE)
    raise UnknownInstruction(f"operand {text}")
