"""What the C printer knows of C: a row for each elementwise primitive, and the functions they call.

Rows and functions are templates: ``$T`` is a C type, ``$s`` the ending of its functions in libm.
`exp`, `log` and `tanh` are branch-free, so that compilers vectorise the loops that call them, and
err by at most 2 units in the last place; all other functions are those of libm. Coefficients are
those of the Taylor series after a range reduction (Muller, Elementary Functions, 3rd edition,
chapter 11), so no table of numbers is needed.

Imports NumPy alone. Read next: `c_printer.py`.
"""

from __future__ import annotations

import math
import string
from decimal import Decimal

import numpy as np

TYPES = {"bool": "bool", "float32": "float", "float64": "double"} | {
    f"{u}int{bits}": f"{u}int{bits}_t" for u in ("", "u") for bits in (8, 16, 32, 64)
}

# The row of a primitive, for operands {0}, {1}, ...; for integers, unsigned ones and bools it is
# the row of "name/i", "name/u", "name/b" if there is one. Each operand is a name or a number.
C: dict[str, str] = {
    "negative": "-{0}",
    "positive": "{0}",
    "square": "{0} * {0}",
    "reciprocal": "1 / {0}",
    "absolute": "fabs$s({0})",
    "absolute/i": "{0} < 0 ? -{0} : {0}",
    "absolute/u": "{0}",
    "absolute/b": "{0}",
    "fabs": "fabs$s({0})",
    "sign": "{0} != {0} ? {0} : ({0} > 0) - ({0} < 0)",
    "sign/i": "({0} > 0) - ({0} < 0)",
    "sign/u": "{0} != 0",
    "rint": "rint$s({0})",
    "floor": "floor$s({0})",
    "ceil": "ceil$s({0})",
    "trunc": "trunc$s({0})",
    **dict.fromkeys(["floor/i", "ceil/i", "trunc/i"], "{0}"),
    **dict.fromkeys(["floor/u", "ceil/u", "trunc/u"], "{0}"),
    **dict.fromkeys(["floor/b", "ceil/b", "trunc/b"], "{0}"),
    "isfinite": "isfinite({0})",
    "isinf": "isinf({0})",
    "isnan": "isnan({0})",
    **dict.fromkeys(["isfinite/i", "isfinite/u", "isfinite/b"], "{0} * 0 == 0"),
    **{f"{name}/{kind}": "{0} * 0 != 0" for name in ("isinf", "isnan") for kind in "iub"},
    "signbit": "signbit({0}) != 0",
    "logical_not": "{0} == 0",
    "logical_and": "({0} != 0) & ({1} != 0)",
    "logical_or": "({0} != 0) | ({1} != 0)",
    "logical_xor": "({0} != 0) ^ ({1} != 0)",
    "add": "{0} + {1}",
    "add/b": "{0} | {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "multiply/b": "{0} & {1}",
    "divide": "{0} / {1}",
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
    "maximum": "({0} >= {1}) | ({0} != {0}) ? {0} : {1}",
    "minimum": "({0} <= {1}) | ({0} != {0}) ? {0} : {1}",
    "fmax": "({0} >= {1}) | ({1} != {1}) ? {0} : {1}",
    "fmin": "({0} <= {1}) | ({1} != {1}) ? {0} : {1}",
    **{f"{f}/{k}": "{0} > {1} ? {0} : {1}" for f in ("maximum", "fmax") for k in "iub"},
    **{f"{f}/{k}": "{0} < {1} ? {0} : {1}" for f in ("minimum", "fmin") for k in "iub"},
    "power": "pow$s({0}, {1})",
    "arctan2": "atan2$s({0}, {1})",
    "hypot": "hypot$s({0}, {1})",
    "logaddexp": "logaddexp_$T({0}, {1})",
    "floor_divide": "floor_divide_$T({0}, {1})",
    "remainder": "remainder_$T({0}, {1})",
    "floor_divide/i": "floor_divide_$T({0}, {1})",
    "remainder/i": "{1} == 0 ? 0 : {0} - floor_divide_$T({0}, {1}) * {1}",
    "floor_divide/u": "{1} == 0 ? 0 : {0} / {1}",
    "remainder/u": "{1} == 0 ? 0 : {0} % {1}",
    "deg2rad": f"{{0}} * (($T){math.pi!r} / 180)",
    "rad2deg": f"{{0}} * (180 / ($T){math.pi!r})",
    "where": "{0} ? {1} : {2}",
    "erfc": "erfc$s({0})",
    **{f: f"{f}_$T({{0}})" for f in ("exp", "log", "tanh")},
    **{f: f"{f}$s({{0}})" for f in ("expm1", "exp2", "log2", "log10", "log1p", "sqrt", "cbrt")},
    **{f: f"{f}$s({{0}})" for f in ("sin", "cos", "tan", "sinh", "cosh")},
    **{f"arc{f}": f"a{f}$s({{0}})" for f in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
}
NOT_OF_INTEGERS = ("power", "reciprocal", "divide")  # NumPy's have rules of their own

HEADER = """\
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
"""

# -- functions of numbers ---------------------------------------------------------------------


def _horner(coefficients: list[float], x: str) -> str:
    """Return a polynomial as text, the highest power's coefficient first."""
    text = f"($T){coefficients[0]!r}"
    for c in coefficients[1:]:
        text = f"FMA_$T({text}, {x}, ($T){c!r})"
    return text


def _numbers(dtype: str) -> dict[str, str]:
    """Return what the templates of functions say of a floating dtype."""
    info = np.finfo(dtype)
    single, digits = dtype == "float32", info.nmant
    bits = f"uint{info.bits}"
    half = int(np.array(math.sqrt(0.5), dtype).view(bits))
    magic = 1.5 * 2.0**digits  # adding it rounds to an integer, which its last bits hold
    high = round(math.log(2) * 2.0 ** (9 if single else 32)) / 2.0 ** (9 if single else 32)
    low = float(Decimal("0.69314718055994530941723212145818") - Decimal(high))
    series = [1 / math.factorial(k) for k in range(7 if single else 13, 1, -1)]
    odd = [2 / (2 * k + 1) for k in range(4 if single else 10, 0, -1)]
    return {
        "U": f"{bits}_t",
        "digits": str(digits),
        "magic": f"($T){magic!r}",
        "magicbits": str(int(np.array(magic, dtype).view(bits))),
        "bias": str(info.maxexp - 1),
        "half": str(half),
        "log2e": f"($T){1 / math.log(2)!r}",
        "ln2high": f"($T){high!r}",
        "ln2low": f"($T){low!r}",
        "expm1": f"FMA_$T({_horner(series, 'r')}, r * r, r)",
        "atanh": _horner(odd, "z"),
        "expleast": "-104" if single else "-746",
        "expmost": "89" if single else "710",
        "tanhmost": "20" if single else "44",
        "tiny": f"($T){float(info.tiny)!r}",
        "lift": f"($T){2.0 ** (digits + 2)!r}",
        "lifted": str(digits + 2),
        "ln2": f"($T){math.log(2)!r}",
    }


BITS = """\
#ifdef __FP_FAST_FMA$F
#define FMA_$T(x, y, z) __builtin_fma$s(x, y, z)
#else
#define FMA_$T(x, y, z) ((x) * (y) + (z))
#endif
typedef union { $T number; $U bits; } bits_$T;
static inline $U bits_of_$T($T x) { const bits_$T b = {.number = x}; return b.bits; }
static inline $T $T_of($U x) { const bits_$T b = {.bits = x}; return b.number; }
"""

FUNCTIONS: dict[str, str] = {
    "exp": """\
/* x = n log 2 + r; the factor 2^n is two factors, so that denormals are rounded once. */
static inline $T exp_$T($T x)
{
    x = x < $expleast ? $expleast : x;
    x = x > $expmost ? $expmost : x;
    const $T shifted = FMA_$T(x, $log2e, $magic), n = shifted - $magic;
    const $T r = FMA_$T(n, -$ln2low, FMA_$T(n, -$ln2high, x));
    const $U k = bits_of_$T(shifted) - $magicbits + 4 * ($bias + 1), half = k >> 1;
    const $U first = half - $bias - 2, second = k - half - $bias - 2;
    return (1 + $expm1) * $T_of(first << $digits) * $T_of(second << $digits);
}
""",
    "tanh": """\
/* t / (t + 2) = t / 2 - t / 2 * t / (t + 2), where t = e^(2 |x|) - 1 = 2^n (e^r - 1) + 2^n - 1. */
static inline $T tanh_$T($T x)
{
    $T a = 2 * fabs$s(x);
    a = a > $tanhmost ? $tanhmost : a;
    const $T shifted = FMA_$T(a, $log2e, $magic), n = shifted - $magic;
    const $T r = FMA_$T(n, -$ln2low, FMA_$T(n, -$ln2high, a));
    const $T power = $T_of((bits_of_$T(shifted) - $magicbits + $bias) << $digits);
    const $T t = FMA_$T(power, $expm1, power - 1), far = t / (t + 2);
    const $T near = FMA_$T(t / -2, far, t / 2);
    return copysign$s(t < 1 ? near : far, x);
}
""",
    "log": """\
/* x = 2^n (1 + f) with 1 + f near 1; log(1 + f) = 2 artanh(s) with s = f / (2 + f). */
static inline $T log_$T($T x)
{
    const bool tiny = x < $tiny;
    const $U bits = bits_of_$T(tiny ? x * $lift : x);
    const $U k = (bits - $half + (($U)(2 * $bias + 2) << $digits)) >> $digits;
    const $T f = $T_of(bits - ((k - (2 * $bias + 2)) << $digits)) - 1;
    const $T n = $T_of($magicbits + k - (2 * $bias + 2)) - $magic - (tiny ? $lifted : 0);
    const $T s = f / (2 + f), z = s * s, square = f * f / 2;
    const $T rest = FMA_$T(s, FMA_$T(z, $atanh, square), n * $ln2low);
    $T y = FMA_$T(n, $ln2high, f - (square - rest));
    y = x == 0 ? -INFINITY : y;
    y = x < 0 ? NAN : y;
    return x < INFINITY ? y : x;
}
""",
    "logaddexp": """\
static inline $T logaddexp_$T($T x, $T y)
{
    const $T d = x - y;
    if (x == y)
        return x + $ln2;
    return d > 0 ? x + log1p$s(exp$s(-d)) : d <= 0 ? y + log1p$s(exp$s(d)) : d;
}
""",
    "floor_divide": """\
static inline $T floor_divide_$T($T x, $T y)
{
    $T rest = fmod$s(x, y), quotient = (x - rest) / y;
    if (y == 0)
        return x / y;
    if (rest != 0 && (y < 0) != (rest < 0))
        quotient -= 1;
    if (quotient == 0)
        return copysign$s(0, x / y);
    return floor$s(quotient) + (quotient - floor$s(quotient) > ($T)0.5);
}
""",
    "floor_divide/i": """\
static inline $T floor_divide_$T($T x, $T y)
{
    if (y == 0)
        return 0;
    if (y == -1)
        return -x;
    return x / y - (x % y != 0 && (x < 0) != (y < 0));
}
""",
    "remainder": """\
static inline $T remainder_$T($T x, $T y)
{
    const $T rest = fmod$s(x, y);
    if (y == 0)
        return rest;
    return rest == 0 ? copysign$s(0, y) : (y < 0) != (rest < 0) ? rest + y : rest;
}
""",
    "to_int": """\
/* What x86 gives where C leaves the result open: NaN, and numbers out of range. */
static inline $i $I_of_$T($T x) { return x >= ($T)$I_MIN && x < -($T)$I_MIN ? ($i)x : $I_MIN; }
""",
}

# -- reductions: ``$first`` is what they begin with, ``$join`` joins `a` and `b` -----------------

ALONG = """\
/* The $name of x[0], x[step], ...: in blocks, so that rounding errors stay small. */
static $T $function(const $X *x, ptrdiff_t n, ptrdiff_t step$more)
{
    $T total = $first$lost;
    for (ptrdiff_t i = 0; i < n;) {
        const ptrdiff_t stop = n - i < 256 ? n : i + 256;
        $T lane[16];
        for (int k = 0; k < 16; k++)
            lane[k] = $first;
        for (; i + 16 <= stop; i += 16)
            for (int k = 0; k < 16; k++) {
                const $T a = lane[k], b = x[(i + k) * step]$factor;
                lane[k] = $join;
            }
        for (int k = 0; i < stop; i++, k++) {
            const $T a = lane[k], b = x[i * step]$last;
            lane[k] = $join;
        }
        for (int half = 8; half; half /= 2)
            for (int k = 0; k < half; k++) {
                const $T a = lane[k], b = lane[k + half];
                lane[k] = $join;
            }
        const $T a = total, b = lane[0];
        total = $join;$keep
    }
    return $result;
}
"""
SUMS_OF_FLOATS = {  # the rounding errors of joining blocks are summed, too; NaN beside infinities
    "lost": ", lost = 0",
    "keep": "\n        lost += (a - (total - (total - a))) + (b - (total - a));",
    "result": "lost == lost ? total + lost : total",
}
OTHERS = {"lost": "", "keep": "", "result": "total"}
DOT = {
    "more": ", const $X *y, ptrdiff_t other",
    "factor": " * y[(i + k) * other]",
    "last": " * y[i * other]",
}
NO_DOT = dict.fromkeys(DOT, "")
ROWS = """\
/* The $name of rows, in blocks, joined with `out`. */
static void $function(const $X *x, ptrdiff_t n, ptrdiff_t step, ptrdiff_t width, $T *out)
{
    for (ptrdiff_t i = 0; i < n; i += 128)
        for (ptrdiff_t first = 0; first < width; first += 64) {
            const $X *block = x + i * step + first;
            const int rows = n - i < 128 ? n - i : 128, w = width - first < 64 ? width - first : 64;
            $T part[64];
            for (int k = 0; k < w; k++)
                part[k] = block[k];
            for (int row = 1; row < rows; row++)
                for (int k = 0; k < w; k++) {
                    const $T a = part[k], b = block[row * step + k];
                    part[k] = $join;
                }
            for (int k = 0; k < w; k++) {
                const $T a = out[first + k], b = part[k];
                out[first + k] = $join;
            }
        }
}
"""

# -- products ---------------------------------------------------------------------------------

TILES = """\
#if defined(__AVX512F__)
#define VECTOR 64
#define HEIGHT 8
#elif defined(__AVX__)
#define VECTOR 32
#define HEIGHT 6
#else
#define VECTOR 16
#define HEIGHT 6
#endif
#define DEPTH 256
#if defined(__clang__)
#define FUSED
#define FUSE _Pragma("clang fp contract(fast)")
#define UNROLL _Pragma("unroll")
#else
#define FUSED __attribute__((optimize("fp-contract=fast")))
#define FUSE
#define UNROLL _Pragma("GCC unroll 8")
#endif
"""
PRODUCT = """\
#define WIDTH_$T (2 * VECTOR / (ptrdiff_t)sizeof($T))
typedef $T vector_$T __attribute__((vector_size(VECTOR), aligned(sizeof($T)), may_alias));

/* A tile of c: `rows` rows of a times two vectors of columns of b, in registers. */
FUSED static inline __attribute__((always_inline)) void tile_$T(
    const int rows, ptrdiff_t depth, const $T *a, ptrdiff_t ai, ptrdiff_t ak,
    const $T *b, ptrdiff_t bk, $T *c, ptrdiff_t ci, ptrdiff_t width, bool add)
{
    FUSE
    vector_$T sums[HEIGHT][2] = {{{0}}};
    for (ptrdiff_t k = 0; k < depth; k++, a += ak, b += bk) {
        const vector_$T left = *(const vector_$T *)b;
        const vector_$T right = *(const vector_$T *)(b + WIDTH_$T / 2);
        UNROLL
        for (int i = 0; i < rows; i++) {
            sums[i][0] += a[i * ai] * left;
            sums[i][1] += a[i * ai] * right;
        }
    }
    UNROLL
    for (int i = 0; i < rows; i++, c += ci) {
        $T row[2 * VECTOR / sizeof($T)];
        *(vector_$T *)row = sums[i][0];
        *(vector_$T *)(row + WIDTH_$T / 2) = sums[i][1];
        if (width == WIDTH_$T)
            for (int j = 0; j < WIDTH_$T; j++)
                c[j] = add ? c[j] + row[j] : row[j];
        else
            for (int j = 0; j < width; j++)
                c[j] = add ? c[j] + row[j] : row[j];
    }
}

/* c[m, n] = a[m, depth] b[depth, n]; rows of c are contiguous. Columns of b that are no whole
   vectors are copied first. */
FUSED static void product_$T(
    ptrdiff_t m, ptrdiff_t n, ptrdiff_t depth, const $T *a, ptrdiff_t ai, ptrdiff_t ak,
    const $T *b, ptrdiff_t bk, ptrdiff_t bj, $T *c, ptrdiff_t ci)
{
    $T panel[DEPTH * 2 * VECTOR / sizeof($T)] __attribute__((aligned(64)));
    for (ptrdiff_t k = 0; k == 0 || k < depth; k += DEPTH)
        for (ptrdiff_t j = 0; j < n; j += WIDTH_$T) {
            const ptrdiff_t deep = depth - k < DEPTH ? depth - k : DEPTH;
            const ptrdiff_t width = n - j < WIDTH_$T ? n - j : WIDTH_$T;
            const bool whole = width == WIDTH_$T && bj == 1;
            const $T *from = b + k * bk + j * bj;
            for (ptrdiff_t row = 0; row < deep && !whole; row++)
                for (ptrdiff_t i = 0; i < WIDTH_$T; i++)
                    panel[row * WIDTH_$T + i] = i < width ? from[row * bk + i * bj] : 0;
            for (ptrdiff_t i = 0; i < m; i += HEIGHT) {
                const ptrdiff_t rows = m - i < HEIGHT ? m - i : HEIGHT;
#define TILE(rows) tile_$T(rows, deep, a + i * ai + k * ak, ai, ak, whole ? from : panel, \
    whole ? bk : WIDTH_$T, c + i * ci + j, ci, width, k > 0)
                switch (rows) {
                case 1: TILE(1); break;
                case 2: TILE(2); break;
                case 3: TILE(3); break;
                case 4: TILE(4); break;
                case 5: TILE(5); break;
                case 6: TILE(6); break;
#if HEIGHT > 6
                case 7: TILE(7); break;
                case 8: TILE(8); break;
#endif
                }
#undef TILE
            }
        }
}
"""
GEMM = """\
/* The BLAS that NumPy has loaded. */
typedef void gemm_$T(int order, int a_transposed, int b_transposed, $I m, $I n, $I k, $T alpha,
    const $T *a, $I a_step, const $T *b, $I b_step, $T beta, $T *c, $I c_step);
"""


class Template(string.Template):
    """A template whose names have no underscore, so that ``exp_$T`` ends where it should."""

    idpattern = "[a-zA-Z][a-zA-Z0-9]*"


def expanded(text: str, **names: str) -> str:
    """Return a template for these types; numbers of a floating type may stand in others."""
    names["s"], names["F"] = ("f", "F") if names["T"] == "float" else ("", "")
    if names["T"] in ("float", "double"):
        names = {**_numbers("float64" if names["T"] == "double" else "float32"), **names}
    names |= {k: Template(v).safe_substitute(names) for k, v in names.items()}
    return Template(text).substitute(names)
