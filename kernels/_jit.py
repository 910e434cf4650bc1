"""One decorator for every kernel, its cache folder, and the few machine instructions that Numba has no name for.

Flags: nogil (the service's threads run kernels side by side), numpy's error model (no exception per division), no
fastmath where a result depends on it. With NUMBA_DISABLE_JIT=1 every function here works in plain Python, slowly, so
that coverage can be measured.
"""

import atexit
import hashlib
import os
import shutil
import struct
import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, imputils, types
from numba.extending import intrinsic
from numba.np import arrayobj
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])
Scalar = TypeVar("Scalar", bound=np.generic)

config: Any = numba.config  # type: ignore[attr-defined,unused-ignore]
JIT_DISABLED = bool(config.DISABLE_JIT)


def source_digest() -> str:
    """Return 16 hex digits that change with any source file of this package."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def cache_folder() -> Path | None:
    """Return the folder for compiled kernels, or None when nothing on this machine can be written to.

    Numba does not notice a changed callee in another file, so the folder's name carries the digest of all
    sources. Where that folder is read-only (an image's file system), it is copied to a private temporary one:
    Numba insists on a writable cache even when it only reads. Private, because a cache holds code.
    """
    base = os.environ.get("NUMBA_CACHE_DIR") or str(
        Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "segserve"
    )
    folder = Path(base) / source_digest()
    if _is_writable(folder):
        return folder
    try:
        copy = Path(tempfile.mkdtemp(prefix="segserve-"))
    except OSError:
        return None
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    if folder.is_dir():
        shutil.copytree(folder, copy, dirs_exist_ok=True)
    return copy


_folder = None if JIT_DISABLED else cache_folder()
if _folder is not None:
    config.CACHE_DIR = str(_folder)

FIRST = cast(int, np.int64(0))
"""The index 0 for a call from one kernel to another: for the literal Numba would compile that one once more."""

KERNELS: list[Any] = []  # every dispatcher, so that compiling can be disabled once all are warm
_compile: Any = numba.njit(nogil=True, cache=_folder is not None, error_model="numpy")
_compile_rough: Any = numba.njit(nogil=True, cache=_folder is not None, error_model="numpy", fastmath={"contract"})
_compile_row: Any = numba.njit(nogil=True, error_model="numpy", forceinline=True)
_compile_rough_row: Any = numba.njit(nogil=True, error_model="numpy", forceinline=True, fastmath={"contract"})


def _plain(function: Function) -> Function:
    """Return the function as it is, without numpy's warnings for integers that wrap round."""

    @wraps(function)
    def call(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*arguments)

    return call  # type: ignore[return-value]


def kernel(function: Function) -> Function:
    """Compile the function on its first call, with the flags that all kernels share."""
    if JIT_DISABLED:
        return _plain(function)
    dispatcher = _compile(function)
    KERNELS.append(dispatcher)
    return dispatcher  # type: ignore[no-any-return]


def rough_kernel(function: Function) -> Function:
    """Compile with products fused into sums, so that last bits depend on the machine: where there is room for that."""
    if JIT_DISABLED:
        return _plain(function)
    dispatcher = _compile_rough(function)
    KERNELS.append(dispatcher)
    return dispatcher  # type: ignore[no-any-return]


def row_kernel(function: Function) -> Function:
    """Compile a function that a kernel calls for every row into that kernel itself.

    Left to the compiler's judgement such calls stay calls, and each counts references to its arrays atomically: hashing
    a 12-byte id took 44 ns.
    """
    if JIT_DISABLED:
        return function
    return _compile_row(function)  # type: ignore[no-any-return]


def rough_row_kernel(function: Function) -> Function:
    """Do as `row_kernel`, with products fused into sums as by `rough_kernel`."""
    if JIT_DISABLED:
        return function
    return _compile_rough_row(function)  # type: ignore[no-any-return]


def readonly(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return the array as a view that cannot be written to: kernels then need one signature for all callers."""
    if not array.flags.writeable:
        return array
    view = array.view()
    view.flags.writeable = False
    return view


_ALL = np.zeros(0, dtype=np.uint8)
_ALL.flags.writeable = False


def mask_bytes(keep: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    """Return keep bool[n] as kernels take it, and uint8[0] where None keeps all; read-only."""
    return _ALL if keep is None else readonly(keep.view(np.uint8))


if JIT_DISABLED:
    _M64 = (1 << 64) - 1

    def prefetch(array: NDArray[Any], i: int | np.integer[Any]) -> None:
        """Do nothing: there is no cache line to fetch from Python."""

    def load_u64(data: NDArray[np.uint8], i: int | np.integer[Any]) -> np.uint64:
        """Return the 8 bytes at data[i:i+8] as one little-endian word."""
        return np.uint64(int.from_bytes(data[i : i + 8].tobytes(), "little"))

    def store_u64(data: NDArray[np.uint8], i: int | np.integer[Any], word: np.uint64) -> None:
        """Write the word to data[i:i+8], little-endian."""
        data[i : i + 8] = np.frombuffer(int(word).to_bytes(8, "little"), np.uint8)

    def fold_multiply(a: np.uint64, b: np.uint64) -> np.uint64:
        """Return the high word of the 128-bit product a·b xor its low word."""
        product = int(a) * int(b)
        return np.uint64((product >> 64) ^ (product & _M64))

    def float_bits(x: float | np.float64) -> np.int64:
        """Return the bits of a float64 as an int64."""
        return np.int64(struct.unpack("<q", struct.pack("<d", x))[0])

    def bits_float(i: int | np.int64) -> np.float64:
        """Return the float64 with these bits."""
        return np.float64(struct.unpack("<d", struct.pack("<q", i))[0])

    def frozen(array: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return the array as a view that cannot be written to; `readonly` for use inside a kernel."""
        return readonly(array)

    def equal_bytes(
        a: NDArray[np.uint8], i: int | np.integer[Any], b: NDArray[np.uint8], j: int | np.integer[Any], n: int
    ) -> bool:
        """Tell whether a[i : i + n] and b[j : j + n] are the same."""
        return bool((a[int(i) : int(i) + n] == b[int(j) : int(j) + n]).all())

    def equal_of_16(data: NDArray[np.uint8], i: int | np.integer[Any], byte: np.uint8) -> np.uint64:
        """Return 16 bits: which of data[i : i + 16], a multiple of 16 bytes into a cache line, equal the byte."""
        return np.uint64(int.from_bytes(np.packbits(data[int(i) : int(i) + 16] == byte, bitorder="little"), "little"))

    def lowest_one(word: np.uint64) -> np.uint64:
        """Return the place of the lowest bit that is set; 64 when none is."""
        return np.uint64((int(word) & -int(word)).bit_length() - 1 if word else 64)

    def count_ones(word: np.uint64) -> np.int64:
        """Return how many bits are set."""
        return np.int64(int(word).bit_count())

else:
    _arrayobj: Any = arrayobj
    _cgutils: Any = cgutils
    _imputils: Any = imputils

    def _element(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
        """Return a pointer to array[index], or to the start of that row; no bounds check."""
        struct_ = _arrayobj.make_array(array_type)(context, builder, array)
        indices = [index, *[context.get_constant(types.intp, 0)] * (array_type.ndim - 1)]
        return _cgutils.get_item_pointer(context, builder, array_type, struct_, indices, wraparound=False)

    @intrinsic
    def prefetch(typingctx: Any, array: Any, i: Any) -> Any:
        """Ask for the cache line of array[i] ahead of its use; any i in bounds of the allocation."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointer = _element(context, builder, signature.args[0], *arguments)
            pointer = builder.bitcast(pointer, _cgutils.voidptr_t)
            i32 = ir.IntType(32)
            function = _cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(ir.VoidType(), [_cgutils.voidptr_t, i32, i32, i32]),
                "llvm.prefetch.p0",
            )
            # read, keep in every cache level, data
            builder.call(function, [pointer, i32(0), i32(3), i32(1)])
            return context.get_dummy_value()

        return types.void(array, types.int64), generate

    @intrinsic
    def load_u64(typingctx: Any, data: Any, i: Any) -> Any:
        """Return the 8 bytes at data[i:i+8] as one word, aligned or not."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointer = _element(context, builder, signature.args[0], *arguments)
            word = builder.load(builder.bitcast(pointer, ir.IntType(64).as_pointer()))
            word.align = 1
            return word

        return types.uint64(data, types.int64), generate

    @intrinsic
    def store_u64(typingctx: Any, data: Any, i: Any, word: Any) -> Any:
        """Write the word to data[i:i+8], aligned or not."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointer = _element(context, builder, signature.args[0], *arguments[:2])
            store = builder.store(arguments[2], builder.bitcast(pointer, ir.IntType(64).as_pointer()))
            store.align = 1
            return context.get_dummy_value()

        return types.void(data, types.int64, types.uint64), generate

    @intrinsic
    def equal_bytes(typingctx: Any, a: Any, i: Any, b: Any, j: Any, n: Any) -> Any:
        """Tell whether a[i : i + n] and b[j : j + n] are the same; C's memcmp."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            types_, i32 = signature.args, ir.IntType(32)
            pointers = [_element(context, builder, types_[k], arguments[k], arguments[k + 1]) for k in (0, 2)]
            pointers = [builder.bitcast(pointer, _cgutils.voidptr_t) for pointer in pointers]
            function = _cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(i32, [_cgutils.voidptr_t, _cgutils.voidptr_t, ir.IntType(64)]),
                "memcmp",
            )
            return builder.icmp_signed("==", builder.call(function, [*pointers, arguments[4]]), i32(0))

        return types.boolean(a, types.int64, b, types.int64, types.int64), generate

    @intrinsic
    def equal_of_16(typingctx: Any, data: Any, i: Any, byte: Any) -> Any:
        """Return 16 bits: which of data[i : i + 16], a multiple of 16 bytes into a cache line, equal the byte."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            i32, sixteen = ir.IntType(32), ir.VectorType(ir.IntType(8), 16)
            pointer = _element(context, builder, signature.args[0], *arguments[:2])
            group = builder.load(builder.bitcast(pointer, sixteen.as_pointer()), align=16)
            one = builder.insert_element(ir.Constant(sixteen, ir.Undefined), arguments[2], i32(0))
            spread = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(i32, 16), [0] * 16))
            equal = builder.icmp_unsigned("==", group, spread)
            return builder.zext(builder.bitcast(equal, ir.IntType(16)), ir.IntType(64))

        return types.uint64(data, types.int64, types.uint8), generate

    @intrinsic
    def lowest_one(typingctx: Any, word: Any) -> Any:
        """Return the place of the lowest bit that is set; 64 when none is."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.cttz(arguments[0], ir.IntType(1)(0))

        return types.uint64(types.uint64), generate

    @intrinsic
    def count_ones(typingctx: Any, word: Any) -> Any:
        """Return how many bits are set."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.ctpop(arguments[0])

        return types.int64(types.uint64), generate

    @intrinsic
    def fold_multiply(typingctx: Any, a: Any, b: Any) -> Any:
        """Return the high word of the 128-bit product a·b xor its low word: one multiplication that mixes well."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            i64, i128 = ir.IntType(64), ir.IntType(128)
            wide = [builder.zext(argument, i128) for argument in arguments]
            product = builder.mul(*wide)
            high = builder.trunc(builder.lshr(product, i128(64)), i64)
            return builder.xor(high, builder.trunc(product, i64))

        return types.uint64(types.uint64, types.uint64), generate

    @intrinsic
    def float_bits(typingctx: Any, x: Any) -> Any:
        """Return the bits of a float64 as an int64."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], ir.IntType(64))

        return types.int64(types.float64), generate

    @intrinsic
    def bits_float(typingctx: Any, i: Any) -> Any:
        """Return the float64 with these bits."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], ir.DoubleType())

        return types.float64(types.int64), generate

    @intrinsic
    def frozen(typingctx: Any, array: Any) -> Any:
        """Return the array as one that cannot be written to; `readonly` for use inside a kernel.

        A kernel that gets it from a kernel then is the one that gets it from Python: it is compiled once, not twice.
        """

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _imputils.impl_ret_borrowed(context, builder, signature.return_type, arguments[0])

        return array.copy(readonly=True)(array), generate
