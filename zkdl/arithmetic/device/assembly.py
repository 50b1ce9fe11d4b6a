"""Long straight sequences of vector arithmetic as assembly, in our own order and with our own registers.

LLVM reorders such sequences for what it thinks they wait for and then lacks registers: a product of two
elements of Fq is 670 operations on 50 live values, and there are 16 registers. Here the order is the one in
which the operations are asked for, registers are allotted by Belady's rule (give up what is needed last),
and operands that have a place in memory are read from there. That takes a fifth off the product's time, and
LLVM has nothing left to optimise, which takes more off the time to compile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir

_REGISTERS = 16
_NEVER = 1 << 30
# An operand in memory that is needed again within so many operations is brought into a register.
_SOON = 8
_MNEMONIC = {"mul": "vmulpd", "add": "vaddpd", "sub": "vsubpd"}


class Value:
    """One vector: the result of an operation, a constant, or an input."""

    def __init__(self, kind: str, operands: tuple[Value, ...] = ()) -> None:
        self.kind = kind
        self.operands = operands
        # Address in memory, as assembly text; None as long as it has none.
        self.place: str | None = None


class Tracer:
    """Stands in for an IR builder and writes down what is asked of it."""

    def __init__(self) -> None:
        self.operations: list[Value] = []
        self.constants: dict[float, Value] = {}

    def _operation(self, kind: str, *operands: Any) -> Value:
        value = Value(kind, tuple(self._value(operand) for operand in operands))
        self.operations.append(value)
        return value

    def _value(self, operand: Any) -> Value:
        if isinstance(operand, Value):
            return operand
        # An LLVM constant with the same number in every lane.
        number = operand.constant[0].constant
        if number not in self.constants:
            self.constants[number] = Value("constant")
            self.constants[number].place = f"{32 * (len(self.constants) - 1)}(TABLE)"
        return self.constants[number]

    def fma(self, a: Any, b: Any, c: Any) -> Value:
        return self._operation("fma", a, b, c)

    def fadd(self, a: Any, b: Any) -> Value:
        return self._operation("add", a, b)

    def fsub(self, a: Any, b: Any) -> Value:
        return self._operation("sub", a, b)

    def fmul(self, a: Any, b: Any) -> Value:
        return self._operation("mul", a, b)


class Allocator:
    """Writes the operations as instructions, one after the other, and keeps account of the registers.

    Attributes:
        lines: the instructions; `BLOCK` and `TABLE` stand for the registers that hold the two addresses.
        held: the register of every value that is in one.
        slots: how many vectors the block of memory takes.
    """

    def __init__(self, operations: list[Value], inputs: list[Value], results: list[Value]) -> None:
        self.lines: list[str] = []
        self.held: dict[Value, int] = {}
        self.slots = len(inputs)
        self._free_slots: list[int] = []
        self._slot_of: dict[Value, int] = {}
        # Where each value is read, the next place last.
        self._uses: dict[Value, list[int]] = {value: [len(operations)] for value in results}
        for k in range(len(operations) - 1, -1, -1):
            for operand in set(operations[k].operands):
                self._uses.setdefault(operand, []).append(k)
        for k, value in enumerate(inputs):
            value.place = f"{32 * k}(BLOCK)"
        for k, value in enumerate(operations):
            self._write(k, value)
        for value in results:
            self._load(value, set(results))

    def _next(self, value: Value) -> int:
        uses = self._uses.get(value)
        return uses[-1] if uses else _NEVER

    def _register(self, pinned: set[Value]) -> int:
        """A free register; if there is none, that of the value that is needed last, which goes to memory."""
        taken = set(self.held.values())
        for register in range(_REGISTERS):
            if register not in taken:
                return register
        movable = [value for value in self.held if value not in pinned]
        victim = max(movable, key=lambda value: (self._next(value), value.place is not None))
        register = self.held.pop(victim)
        if victim.place is None:
            slot = self._free_slots.pop() if self._free_slots else self.slots
            self.slots = max(self.slots, slot + 1)
            self._slot_of[victim] = slot
            victim.place = f"{32 * slot}(BLOCK)"
            self.lines.append(f"vmovapd %ymm{register}, {victim.place}")
        return register

    def _load(self, value: Value, pinned: set[Value]) -> None:
        if value not in self.held:
            register = self._register(pinned)
            self.lines.append(f"vmovapd {value.place}, %ymm{register}")
            self.held[value] = register

    def _text(self, value: Value) -> str:
        return f"%ymm{self.held[value]}" if value in self.held else str(value.place)

    def _free_registers(self, operands: set[Value]) -> None:
        for operand in operands:
            if self._next(operand) == _NEVER:
                self.held.pop(operand, None)

    def _free_memory(self, operands: set[Value]) -> None:
        for operand in operands:
            if self._next(operand) == _NEVER and operand in self._slot_of:
                self._free_slots.append(self._slot_of.pop(operand))

    def _write(self, k: int, value: Value) -> None:
        operands = set(value.operands)
        for operand in operands:
            self._uses[operand].pop()
        # One operand may stay in memory: one that is not needed again soon.
        first, *others = sorted(value.operands[:2], key=lambda v: (v not in self.held, self._next(v)))
        if value.kind == "sub":
            first, others = value.operands[0], [value.operands[1]]
        self._load(first, operands)
        for operand in (*others, *value.operands[2:]):
            if operand not in self.held and self._next(operand) < k + _SOON:
                self._load(operand, operands)
        if value.kind == "fma":
            register = self._write_fma(first, others[0], value.operands[2], operands)
        else:
            source, left = self._text(others[0]), self.held[first]
            self._free_registers(operands)
            register = self._register(operands)
            self.lines.append(f"{_MNEMONIC[value.kind]} {source}, %ymm{left}, %ymm{register}")
        self._free_registers(operands)
        # Not before: to free the register of the result, something may have been put into memory.
        self._free_memory(operands)
        self.held[value] = register

    def _write_fma(self, a: Value, b: Value, c: Value, operands: set[Value]) -> int:
        """a b + c, with a in a register, over an operand that is not needed again, or over a copy of c."""
        dying = {v for v in operands if v in self.held and self._next(v) == _NEVER}
        if c in dying:
            target = self.held[c]
            line = f"vfmadd231pd {self._text(b)}, {self._text(a)}, %ymm{target}"
        elif a in dying and b in self.held:
            target = self.held[a]
            line = f"vfmadd213pd {self._text(c)}, {self._text(b)}, %ymm{target}"
        elif a in dying and c in self.held:
            target = self.held[a]
            line = f"vfmadd132pd {self._text(b)}, {self._text(c)}, %ymm{target}"
        elif b in dying:
            target = self.held[b]
            line = f"vfmadd213pd {self._text(c)}, {self._text(a)}, %ymm{target}"
        else:
            target = self._register(operands)
            self.lines.append(f"vmovapd {self._text(c)}, %ymm{target}")
            line = f"vfmadd231pd {self._text(b)}, {self._text(a)}, %ymm{target}"
        self.lines.append(line)
        return target


class Piece:
    """A recorded sequence as assembly.

    Args:
        record: called with a `Tracer` and `count` inputs; asks the tracer for operations.
        count: number of inputs.
    """

    def __init__(self, record: Callable[[Any, list[Any]], list[Any]], count: int) -> None:
        trace = Tracer()
        inputs = [Value("input") for _ in range(count)]
        results = record(trace, inputs)
        allocator = Allocator(trace.operations, inputs, results)
        self.text = "\n\t".join(allocator.lines)
        self.constants = list(trace.constants)
        self.slots = allocator.slots
        # The registers that the results are left in.
        self.homes = [allocator.held[value] for value in results]


def emit_assembled(builder: Any, name: str, operands: list[Any], piece: Piece) -> list[Any]:
    """Emit a piece as inline assembly.

    Args:
        builder: IR builder, inside the function that the piece is the body of.
        name: of the table of constants; not used before in the module.
        operands: LLVM values, vectors of four doubles, one for each input of the piece.
        piece: the sequence.

    Returns:
        LLVM values of its results.
    """
    binding.initialize_native_asmparser()
    vector = operands[0].type
    kind = ir.ArrayType(vector, len(piece.constants))
    table = ir.GlobalVariable(builder.module, kind, name)
    table.linkage = "internal"
    table.global_constant = True
    table.align = 32
    table.initializer = ir.Constant(
        kind, [ir.Constant(vector, [number] * vector.count) for number in piece.constants]
    )
    block = builder.alloca(ir.ArrayType(vector, piece.slots))
    block.align = 32
    index = ir.IntType(32)
    for k, operand in enumerate(operands):
        builder.store(operand, builder.gep(block, [ir.Constant(index, 0), ir.Constant(index, k)]), align=32)
    homes = piece.homes
    text = piece.text.replace("BLOCK", f"${len(homes)}").replace("TABLE", f"${len(homes) + 1}")
    spoilt = [f"~{{ymm{k}}}" for k in range(_REGISTERS) if k not in homes]
    constraints = [*(f"={{ymm{k}}}" for k in homes), "r", "r", *spoilt, "~{memory}"]
    outputs = ir.FunctionType(ir.LiteralStructType([vector] * len(homes)), [block.type, table.type])
    both = builder.asm(outputs, text, ",".join(constraints), [block, table], True)
    return [builder.extract_value(both, k) for k in range(len(homes))]
