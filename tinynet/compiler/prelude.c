// The parts of C programs, each printed if a program needs it, and, first, the table of elementwise
// primitives. `c_printer.py` fills in the names that begin with a dollar sign: $T is a type, $s the
// ending of its functions in libm. In exported files, "plain/" parts replace those of the same
// name: they are short, and any C99 compiler accepts them.

//// table
What C computes for each elementwise primitive, of operands {0}, {1}, ..., which are names or numbers.
A line may name several primitives; $f is the name. For integers the row "name/i" is taken if there
is one; for unsigned ones "name/u", then "name/i"; for bools "name/b" before these; if the last
operand is a finite number, "name/n" first. A row that contains "$" is for the kind that it names,
or for floats. The operators of `INFIX` in text.py need no row.

add/b: {0} | {1}
multiply/b: {0} & {1}
negative: -{0}
positive absolute/u floor/i ceil/i trunc/i: {0}
square: {0} * {0}
reciprocal: ($T)1 / {0}
absolute: fabs$s({0})
absolute/i: {0} < 0 ? -{0} : {0}
sign: {0} != {0} ? {0} : ({0} > 0) - ({0} < 0)
sign/i: ({0} > 0) - ({0} < 0)
sign/u: {0} != 0
isfinite isinf isnan: $f({0})
isfinite/i: {0} * 0 == 0
isinf/i isnan/i: {0} * 0 != 0
signbit: signbit({0}) != 0
logical_not: {0} == 0
logical_and: ({0} != 0) & ({1} != 0)
logical_or: ({0} != 0) | ({1} != 0)
logical_xor: ({0} != 0) ^ ({1} != 0)
maximum: (({0} >= {1}) | ({0} != {0})) ? {0} : {1}
minimum: (({0} <= {1}) | ({0} != {0})) ? {0} : {1}
maximum/n: {0} < {1} ? {1} : {0}
minimum/n: {0} > {1} ? {1} : {0}
fmax: (({0} >= {1}) | ({1} != {1})) ? {0} : {1}
fmin: (({0} <= {1}) | ({1} != {1})) ? {0} : {1}
maximum/i fmax/i: {0} > {1} ? {0} : {1}
minimum/i fmin/i: {0} < {1} ? {0} : {1}
power: pow$s({0}, {1})
arctan2: atan2$s({0}, {1})
hypot: hypot$s({0}, {1})
floor_divide/u: {1} == 0 ? 0 : {0} / {1}
remainder/u: {1} == 0 ? 0 : {0} % {1}
deg2rad: {0} * (($T)3.141592653589793 / 180)
rad2deg: {0} * (180 / ($T)3.141592653589793)
where: {0} ? {1} : {2}
exp log tanh: $f_$T({0})
logaddexp floor_divide remainder: $f_$T({0}, {1})
floor_divide/i: floor_divide_$T({0}, {1})
remainder/i: remainder_$T({0}, {1})
fabs rint floor ceil trunc sqrt cbrt expm1 exp2 log2 log10 log1p sin cos tan sinh cosh erfc: $f$s({0})
arcsin: asin$s({0})
arccos: acos$s({0})
arctan: atan$s({0})
arcsinh: asinh$s({0})
arccosh: acosh$s({0})
arctanh: atanh$s({0})

//// names
Names that a buffer must not have, besides those of functions that the table calls.
auto bool break case char const continue default do double else enum extern false float for
goto if inline int long main register restrict return short signed sizeof static struct
switch true typedef union unsigned void volatile while isfinite isinf isnan signbit buffers

//// joins
The primitive by which a reduction combines two numbers, unless it is "add".
max: maximum
min: minimum
nanmax: fmax
nanmin: fmin
argmax: greater_equal
argmin: less_equal
any: logical_or
all: logical_and

//// dot
The text that a dot product puts into the part "sum", where a plain sum has none.
more: , const $T *y, ptrdiff_t other
factor:  * y[(i + k) * other]
together:  && other == 1
next: , y += 256 * other
factors:  * ((const vector_$T *)(y + i))[k]

//// plain/header
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

//// header
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* GCC 12 can mistake a function that writes for one that does not, and drop its call. */
#if defined(__clang__) || __GNUC__ < 8
#define SECTION static __attribute__((noinline)) void
#else
#define SECTION static __attribute__((noipa)) void
#endif

//// unused
#define UNUSED __attribute__((unused)) /* in some programs, which Clang would warn of */

//// bits/float: unused
#ifdef __FP_FAST_FMAF
#define FMA_$T(x, y, z) __builtin_fmaf(x, y, z)
#else
#define FMA_$T(x, y, z) ((x) * (y) + (z))
#endif
#define UINT_$T uint32_t
#define INT_$T int32_t
#define LITTLE_$T 5.421010862427522e-20f
#define DIGITS_$T 23
#define BIAS_$T 127
#define MAGIC_$T 12582912.0f
#define MAGIC_BITS_$T 0x4b400000u
#define ROOT_HALF_BITS_$T 0x3f3504f3u
#define TINY_$T FLT_MIN
#define LIFT_DIGITS_$T 25
#define LIFT_$T 33554432.0f
#define LOG2E_$T 1.4426950408889634f
#define LN2_$T 0.6931471805599453f
#define LN2_HIGH_$T 0.693359375f
#define LN2_LOW_$T (-0.00021219444005469057f)
#define EXP_LEAST_$T -104.0f
#define EXP_MOST_$T 89.0f
#define TANH_MOST_$T 20.0f

typedef union { $T number; UINT_$T bits; } bits_$T;
UNUSED static inline UINT_$T bits_of_$T($T x) { return ((bits_$T){.number = x}).bits; }
UNUSED static inline $T $T_of(UINT_$T x) { return ((bits_$T){.bits = x}).number; }

/* e^r - 1, for |r| <= log(2) / 2: the Taylor series. */
UNUSED static inline $T exp_series_$T($T r)
{
    $T p = 1.0f / 5040;
    p = FMA_$T(p, r, 1.0f / 720);
    p = FMA_$T(p, r, 1.0f / 120);
    p = FMA_$T(p, r, 1.0f / 24);
    p = FMA_$T(p, r, 1.0f / 6);
    p = FMA_$T(p, r, 1.0f / 2);
    return FMA_$T(p, r * r, r);
}

/* 2 artanh(s) / s - 2, for z = s * s <= 0.03: the Taylor series, without its last factor. */
UNUSED static inline $T artanh_series_$T($T z)
{
    $T p = 2.0f / 9;
    p = FMA_$T(p, z, 2.0f / 7);
    p = FMA_$T(p, z, 2.0f / 5);
    p = FMA_$T(p, z, 2.0f / 3);
    return p;
}

//// bits/double: unused
#ifdef __FP_FAST_FMA
#define FMA_$T(x, y, z) __builtin_fma(x, y, z)
#else
#define FMA_$T(x, y, z) ((x) * (y) + (z))
#endif
#define UINT_$T uint64_t
#define INT_$T int64_t
#define LITTLE_$T 7.458340731200207e-155
#define DIGITS_$T 52
#define BIAS_$T 1023
#define MAGIC_$T 6755399441055744.0
#define MAGIC_BITS_$T 0x4338000000000000ull
#define ROOT_HALF_BITS_$T 0x3fe6a09e667f3bcdull
#define TINY_$T DBL_MIN
#define LIFT_DIGITS_$T 54
#define LIFT_$T 1.8014398509481984e+16
#define LOG2E_$T 1.4426950408889634
#define LN2_$T 0.6931471805599453
#define LN2_HIGH_$T 0.6931471806019545
#define LN2_LOW_$T (-4.2009150726810846e-11)
#define EXP_LEAST_$T -746.0
#define EXP_MOST_$T 710.0
#define TANH_MOST_$T 44.0

typedef union { $T number; UINT_$T bits; } bits_$T;
UNUSED static inline UINT_$T bits_of_$T($T x) { return ((bits_$T){.number = x}).bits; }
UNUSED static inline $T $T_of(UINT_$T x) { return ((bits_$T){.bits = x}).number; }

/* e^r - 1, for |r| <= log(2) / 2: the Taylor series. */
UNUSED static inline $T exp_series_$T($T r)
{
    $T p = 1.0 / 6227020800;
    p = FMA_$T(p, r, 1.0 / 479001600);
    p = FMA_$T(p, r, 1.0 / 39916800);
    p = FMA_$T(p, r, 1.0 / 3628800);
    p = FMA_$T(p, r, 1.0 / 362880);
    p = FMA_$T(p, r, 1.0 / 40320);
    p = FMA_$T(p, r, 1.0 / 5040);
    p = FMA_$T(p, r, 1.0 / 720);
    p = FMA_$T(p, r, 1.0 / 120);
    p = FMA_$T(p, r, 1.0 / 24);
    p = FMA_$T(p, r, 1.0 / 6);
    p = FMA_$T(p, r, 1.0 / 2);
    return FMA_$T(p, r * r, r);
}

/* 2 artanh(s) / s - 2, for z = s * s <= 0.03: the Taylor series, without its last factor. */
UNUSED static inline $T artanh_series_$T($T z)
{
    $T p = 2.0 / 21;
    p = FMA_$T(p, z, 2.0 / 19);
    p = FMA_$T(p, z, 2.0 / 17);
    p = FMA_$T(p, z, 2.0 / 15);
    p = FMA_$T(p, z, 2.0 / 13);
    p = FMA_$T(p, z, 2.0 / 11);
    p = FMA_$T(p, z, 2.0 / 9);
    p = FMA_$T(p, z, 2.0 / 7);
    p = FMA_$T(p, z, 2.0 / 5);
    p = FMA_$T(p, z, 2.0 / 3);
    return p;
}

//// exp: bits
/* x = n log 2 + r; the factor 2^n is split in two, so that denormals are rounded once. The bounds
   are compared as integers, which is quicker, so NaN is restored at the end. */
static inline $T exp_$T($T given)
{
    const UINT_$T low = bits_of_$T(EXP_LEAST_$T), high = bits_of_$T(EXP_MOST_$T);
    UINT_$T bits = bits_of_$T(given);
    bits = bits < low ? bits : low; /* bits of negative numbers are above those of positive ones, */
    bits = (INT_$T)bits < (INT_$T)high ? bits : high; /* or below them, as integers with a sign */
    const $T x = $T_of(bits);
    const $T shifted = FMA_$T(x, LOG2E_$T, MAGIC_$T), n = shifted - MAGIC_$T;
    const $T r = FMA_$T(n, -LN2_LOW_$T, FMA_$T(n, -LN2_HIGH_$T, x));
    const $T part = FMA_$T(exp_series_$T(r), LITTLE_$T, LITTLE_$T); /* e^r 2^-(BIAS + 1) / 2 */
    const UINT_$T k = bits_of_$T(shifted) - MAGIC_BITS_$T + BIAS_$T + (BIAS_$T + 1) / 2;
    const UINT_$T half = k >> 1;
    const $T power = $T_of((k - half) << DIGITS_$T);
    const $T y = $T_of(bits_of_$T(part) + (half << DIGITS_$T)) * power;
    return given == given ? y : given;
}

//// tanh: bits
/* t / (t + 2) = t / 2 - t / 2 * t / (t + 2), where t = e^(2 |x|) - 1 = 2^n (e^r - 1) + 2^n - 1. */
static inline $T tanh_$T($T x)
{
    $T a = 2 * fabs$s(x);
    a = a > TANH_MOST_$T ? TANH_MOST_$T : a;
    const $T shifted = FMA_$T(a, LOG2E_$T, MAGIC_$T), n = shifted - MAGIC_$T;
    const $T r = FMA_$T(n, -LN2_LOW_$T, FMA_$T(n, -LN2_HIGH_$T, a));
    const $T power = $T_of((bits_of_$T(shifted) - MAGIC_BITS_$T + BIAS_$T) << DIGITS_$T);
    const $T t = FMA_$T(power, exp_series_$T(r), power - 1), far = t / (t + 2);
    const $T near = FMA_$T(t / -2, far, t / 2);
    return copysign$s(t < 1 ? near : far, x);
}

//// log: bits
/* x = 2^n (1 + f) with 1 + f near 1; log(1 + f) = 2 artanh(s) with s = f / (2 + f). */
static inline $T log_$T($T x)
{
    const bool tiny = x < TINY_$T;
    const UINT_$T bits = bits_of_$T(tiny ? x * LIFT_$T : x);
    const UINT_$T above = 2 * BIAS_$T + 2; /* added to n, so that it is not negative */
    const UINT_$T k = (bits - ROOT_HALF_BITS_$T + (above << DIGITS_$T)) >> DIGITS_$T;
    const $T f = $T_of(bits - ((k - above) << DIGITS_$T)) - 1;
    const $T n = $T_of(MAGIC_BITS_$T + k - above) - MAGIC_$T - (tiny ? LIFT_DIGITS_$T : 0);
    const $T s = f / (2 + f), z = s * s, square = f * f / 2;
    const $T rest = FMA_$T(s, FMA_$T(z, artanh_series_$T(z), square), n * LN2_LOW_$T);
    $T y = FMA_$T(n, LN2_HIGH_$T, f - (square - rest));
    y = x == 0 ? -INFINITY : y;
    y = x < 0 ? NAN : y;
    return x < INFINITY ? y : x;
}

//// logaddexp: bits
static inline $T logaddexp_$T($T x, $T y)
{
    const $T d = x - y;
    if (x == y)
        return x + LN2_$T;
    return d > 0 ? x + log1p$s(exp$s(-d)) : d <= 0 ? y + log1p$s(exp$s(d)) : d;
}

//// floor_divide
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

//// floor_divide/i
static inline $T floor_divide_$T($T x, $T y)
{
    if (y == 0)
        return 0;
    if (y == -1)
        return -x;
    return x / y - (x % y != 0 && (x < 0) != (y < 0));
}

//// remainder
static inline $T remainder_$T($T x, $T y)
{
    const $T rest = fmod$s(x, y);
    if (y == 0)
        return rest;
    return rest == 0 ? copysign$s(0, y) : (y < 0) != (rest < 0) ? rest + y : rest;
}

//// remainder/i
static inline $T remainder_$T($T x, $T y)
{
    const $T rest = y == 0 || y == -1 ? 0 : x % y;
    return rest != 0 && (y < 0) != (rest < 0) ? rest + y : rest;
}

//// plain/exp
static inline $T exp_$T($T x) { return exp$s(x); }

//// plain/log
static inline $T log_$T($T x) { return log$s(x); }

//// plain/tanh
static inline $T tanh_$T($T x) { return tanh$s(x); }

//// plain/logaddexp
static inline $T logaddexp_$T($T x, $T y)
{
    const $T d = x - y;
    if (x == y)
        return x + log$s(2);
    return d > 0 ? x + log1p$s(exp$s(-d)) : d <= 0 ? y + log1p$s(exp$s(d)) : d;
}

//// plain/sum
/* A sum of numbers that are `step` apart, plus the rounding errors of its additions. */
static $T $function(const $X *x, ptrdiff_t n, ptrdiff_t step$more)
{
    $T total = 0, lost = 0;
    for (ptrdiff_t i = 0, k = 0; i < n; i++) {
        const $T before = total, part = x[(i + k) * step]$factor;
        total += part;
        lost += (before - (total - (total - before))) + (part - (total - before));
    }
    return lost - lost == 0 ? total + lost : total; /* `lost` is NaN after an infinity */
}

//// plain/extreme
static $T $function(const $X *x, ptrdiff_t n, ptrdiff_t step)
{
    $T a = x[0];
    for (ptrdiff_t i = 1; i < n; i++) {
        const $T b = x[i * step];
        a = $join;
    }
    return a;
}

//// plain/product
/* c[m, n] = a[m, depth] b[depth, n], for rows of c that are contiguous. */
static inline void product_$T(
    ptrdiff_t m, ptrdiff_t n, ptrdiff_t depth, const $T *restrict a, ptrdiff_t ai, ptrdiff_t ak,
    const $T *restrict b, ptrdiff_t bk, ptrdiff_t bj, $T *restrict c)
{
    for (ptrdiff_t i = 0; i < m; i++, a += ai, c += n) {
        for (ptrdiff_t j = 0; j < n; j++)
            c[j] = 0;
        for (ptrdiff_t k = 0; k < depth; k++)
            for (ptrdiff_t j = 0; j < n; j++)
                c[j] += a[k * ak] * b[k * bk + j * bj];
    }
}

//// INT32
/* The results of x86 where C leaves them undefined: for NaN and numbers out of range. */
static inline int32_t INT32_of_$T($T x)
{
    return x >= ($T)INT32_MIN && x < -($T)INT32_MIN ? (int32_t)x : INT32_MIN;
}

//// INT64
static inline int64_t INT64_of_$T($T x)
{
    return x >= ($T)INT64_MIN && x < -($T)INT64_MIN ? (int64_t)x : INT64_MIN;
}

//// UINT64
static inline uint64_t UINT64_of_$T($T x)
{
    const $T top = -($T)INT64_MIN;
    if (x >= top && x < 2 * top)
        return (uint64_t)x;
    return (uint64_t)(x >= -top && x < top ? (int64_t)x : INT64_MIN);
}

//// sum: vector
/* A sum of numbers that are `step` apart: in blocks, plus the rounding errors of adding these, so
   that it is as accurate as pairwise summation. */
static inline $T $function(const $X *x, ptrdiff_t n, ptrdiff_t step$more)
{
    enum { LANES = 16 * sizeof($T) / BYTES_$T };
    const bool is_one = n <= 256; /* block: nothing to combine it with */
    $T total = 0, lost = 0;
    for (; n > 0; n -= 256, x += 256 * step$next) {
        const int most = n < 256 ? (int)n : 256;
        int i = 0;
        vector_$T lanes[LANES] = {{0}};
        for (; $together && i + 16 <= most; i += 16)
            UNROLL
            for (int k = 0; k < LANES; k++)
                lanes[k] += ((const vector_$T *)(x + i))[k]$factors;
        $T lane[16];
        UNROLL
        for (int k = 0; k < LANES; k++)
            ((vector_$T *)lane)[k] = lanes[k];
        for (; i + 16 <= most; i += 16)
            for (int k = 0; k < 16; k++)
                lane[k] += x[(i + k) * step]$factor;
        if (i < most)
            for (int k = 0; k < 16; k++)
                lane[k] += i + k < most ? x[(i + k) * step]$factor : 0;
        for (int k = 0; k < 8; k++)
            lane[k] += lane[k + 8];
        for (int k = 0; k < 4; k++)
            lane[k] += lane[k + 4];
        const $T before = total, part = (lane[0] + lane[2]) + (lane[1] + lane[3]);
        if (is_one)
            return part;
        total += part;
        lost += (before - (total - (total - before))) + (part - (total - before));
    }
    return lost - lost == 0 ? total + lost : total; /* `lost` is NaN after an infinity */
}

//// extreme: tiles
static $T $function(const $X *x, ptrdiff_t n, ptrdiff_t step)
{
    $T lane[16];
    for (int k = 0; k < 16; k++)
        lane[k] = x[0];
    for (ptrdiff_t i = 0; i < n; i += 16)
        ROLLED
        for (int k = 0; k < 16; k++) {
            const $T a = lane[k], b = i + k < n ? x[(i + k) * step] : x[0];
            lane[k] = $join;
        }
    for (int half = 8; half; half /= 2)
        for (int k = 0; k < half; k++) {
            const $T a = lane[k], b = lane[k + half];
            lane[k] = $join;
        }
    return lane[0];
}

//// place
/* The index of the first extreme number, or of the first NaN. */
static $T $function(const $X *x, ptrdiff_t n, ptrdiff_t step)
{
    ptrdiff_t found = 0;
    for (ptrdiff_t i = 1; i < n; i++) {
        const $X a = x[found * step], b = x[i * step];
        if (!($join) && a <= INFINITY)
            found = i;
    }
    return found;
}

//// cumsum
static void $function(const $X *x, ptrdiff_t n, ptrdiff_t step, $T *out, ptrdiff_t out_step)
{
    $T total = x[0];
    out[0] = total;
    for (ptrdiff_t i = 1; i < n; i++)
        out[i * out_step] = total += x[i * step];
}

//// random_bits
/* Threefry-2x32 with 20 rounds, as in `random.py`. */
static void random_bits_$T(
    const uint32_t *state, ptrdiff_t step, ptrdiff_t first, ptrdiff_t n, uint32_t *out)
{
    static const int turns[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
    const uint32_t a = state[0], b = state[step], keys[3] = {a, b, a ^ b ^ 0x1bd11bdau};
    for (ptrdiff_t i = first; i < first + n; i++) {
        uint32_t x = (uint32_t)((uint64_t)i >> 32) + a, y = (uint32_t)i + b;
        for (int round = 0; round < 5; round++) {
            for (int k = 0; k < 4; k++) {
                const int turn = turns[round % 2][k];
                x += y;
                y = (y << turn | y >> (32 - turn)) ^ x;
            }
            x += keys[(round + 1) % 3];
            y += keys[(round + 2) % 3] + (uint32_t)round + 1;
        }
        out[i - first] = x ^ y;
    }
}

//// rows
/* Reduces rows, in blocks, and combines the result with `out`. */
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

//// tiles
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
#define ROLLED _Pragma("nounroll")
#define MIX(mask, x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
#define FUSED __attribute__((optimize("fp-contract=fast")))
#define FUSE
#define UNROLL _Pragma("GCC unroll 8")
#define ROLLED _Pragma("GCC unroll 1") /* so that it becomes one vector, not many numbers */
#define MIX(mask, x, y, ...) __builtin_shuffle(x, y, (mask){__VA_ARGS__})
#endif

//// vector: tiles
enum { BYTES_$T = VECTOR < 16 * sizeof($T) ? VECTOR : 16 * sizeof($T) }; /* of 16 numbers at most */
typedef $T vector_$T __attribute__((vector_size(BYTES_$T), aligned(sizeof($T)), may_alias));

//// product: vector
#define WIDTH_$T (2 * VECTOR / (ptrdiff_t)sizeof($T))
typedef __typeof__(__builtin_choose_expr(sizeof($T) == 4, (int32_t)0, (int64_t)0)) mask_$T
    __attribute__((vector_size(4 * sizeof($T))));
typedef $T four_$T __attribute__((vector_size(4 * sizeof($T)), aligned(sizeof($T)), may_alias));

/* A tile of c: `rows` rows of a times two vectors of columns of b, in registers. */
FUSED static inline __attribute__((always_inline)) void tile_$T(
    const int rows, const bool is_first, ptrdiff_t depth, const $T *a, ptrdiff_t ai, ptrdiff_t ak,
    const $T *b, ptrdiff_t bk, $T *c, ptrdiff_t ci, ptrdiff_t width, bool add)
{
    FUSE
    vector_$T sums[HEIGHT][2] = {{{0}}};
    for (ptrdiff_t k = 0; k < depth; k++, a += ak, b += bk) {
        const vector_$T left = *(const vector_$T *)b;
        const vector_$T right = *(const vector_$T *)(b + WIDTH_$T / 2);
        if (is_first) { /* the rows of b are not in the cache yet */
            __builtin_prefetch(b + 16 * bk);
            __builtin_prefetch(b + 16 * bk + WIDTH_$T / 2);
        }
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

/* Transposes four columns of four numbers to rows of `to`. */
static inline void turned_$T(const $T *x, ptrdiff_t step, $T *to, ptrdiff_t rows)
{
    const four_$T a = *(const four_$T *)x, b = *(const four_$T *)(x + step);
    const four_$T c = *(const four_$T *)(x + 2 * step), d = *(const four_$T *)(x + 3 * step);
    const four_$T ab = MIX(mask_$T, a, b, 0, 4, 1, 5), cd = MIX(mask_$T, c, d, 0, 4, 1, 5);
    const four_$T AB = MIX(mask_$T, a, b, 2, 6, 3, 7), CD = MIX(mask_$T, c, d, 2, 6, 3, 7);
    *(four_$T *)to = MIX(mask_$T, ab, cd, 0, 1, 4, 5);
    *(four_$T *)(to + rows) = MIX(mask_$T, ab, cd, 2, 3, 6, 7);
    *(four_$T *)(to + 2 * rows) = MIX(mask_$T, AB, CD, 0, 1, 4, 5);
    *(four_$T *)(to + 3 * rows) = MIX(mask_$T, AB, CD, 2, 3, 6, 7);
}

/* Copies columns of b to a panel, which is padded with columns of zeros. */
static void panel_$T(
    ptrdiff_t deep, ptrdiff_t width, const $T *b, ptrdiff_t bk, ptrdiff_t bj, $T *panel)
{
    for (ptrdiff_t i = 0; i < deep * WIDTH_$T && width < WIDTH_$T; i++)
        panel[i] = 0;
    for (ptrdiff_t k = 0; k < deep;) {
        const ptrdiff_t next = bk == 1 && deep - k >= 4 ? k + 4 : k + 1;
        ptrdiff_t j = 0;
        for (; next == k + 4 && j + 4 <= width; j += 4)
            turned_$T(b + k + j * bj, bj, panel + k * WIDTH_$T + j, WIDTH_$T);
        for (ptrdiff_t i = k; i < next; i++)
            for (ptrdiff_t left = j; left < width; left++)
                panel[i * WIDTH_$T + left] = b[i * bk + left * bj];
        k = next;
    }
}

/* c[m, n] = a[m, depth] b[depth, n]; rows of c are contiguous. Columns of b that do not fill a tile
   or whose rows are not contiguous are copied to a panel first. */
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
            if (!whole)
                panel_$T(deep, width, from, bk, bj, panel);
            for (ptrdiff_t i = 0; i < m;) {
#define TILE(rows, is_first) (tile_$T(rows, is_first, deep, a + i * ai + k * ak, ai, ak, \
    whole ? from : panel, whole ? bk : WIDTH_$T, c + i * ci + j, ci, width, k > 0), rows)
                const ptrdiff_t left = m - i;
                if (left >= HEIGHT)
                    i += i == 0 && whole && deep >= DEPTH / 2 ? TILE(HEIGHT, true) : TILE(HEIGHT, false);
                else
                    i += left >= 4 ? TILE(4, false) : left >= 2 ? TILE(2, false) : TILE(1, false);
#undef TILE
            }
        }
}

//// host_
/* A function of the host, which reads the first array and writes the second. */
typedef void host_(const void *, void *);

//// pool_
/* Runs the work from 0 to n in parallel, in parts of at most `size`. */
typedef void part_(void **given, ptrdiff_t first, ptrdiff_t last);
typedef void pool_(part_ *run, void **given, ptrdiff_t n, ptrdiff_t size);

static inline void in_parts_(
    pool_ *pool, part_ *run, void **given, ptrdiff_t n, ptrdiff_t size)
{
    if (pool)
        pool(run, given, n, size);
    else
        run(given, 0, n);
}

//// pool
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __TINYC__ /* has no atomics; these are written under the lock alone */
typedef volatile int atomic_int;
#define atomic_load(number) (*(number))
#else
#include <stdatomic.h>
#endif

typedef void part_(void **given, ptrdiff_t first, ptrdiff_t last);

/* Held while there is work; held while these variables are used. */
static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER, lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t begin = PTHREAD_COND_INITIALIZER, end = PTHREAD_COND_INITIALIZER;
enum { MOST = 256 };
static int helpers, threads; /* wanted beside the thread that has the work; started */
static atomic_int running, works; /* parts that are not finished; how often there was work */
static part_ *run;
static void **given;
static ptrdiff_t n, size, left; /* items; items in a part; parts that nobody has taken */
static ptrdiff_t begins[MOST], ends[MOST]; /* of the parts of each thread that nobody has taken */

/* Spins while a number is unchanged, for some hundred microseconds at most: work comes many times in
   a step, and waking a thread takes longer than a part of it. */
static void watch(atomic_int *number, int value)
{
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < 500 && atomic_load(number) == value; i++)
        sched_yield();
    pthread_mutex_lock(&lock);
}

/* A forked process has no threads yet. */
static void forked(void)
{
    pthread_mutex_init(&busy, NULL);
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&begin, NULL);
    pthread_cond_init(&end, NULL);
    running = 0;
    threads = 0;
    left = 0;
}

/* Takes one part after another, under the lock: first those of this thread, which are the same at
   each step, so that their data stay in its core's cache; then the last ones of other threads. */
static void take_parts(int me)
{
    while (left) {
        int of = 0;
        while (begins[me] == ends[me] && begins[of] == ends[of])
            of++;
        const ptrdiff_t part = begins[me] < ends[me] ? begins[me]++ : --ends[of];
        const ptrdiff_t first = part * size, last = n - first > size ? first + size : n;
        left--;
        running++;
        pthread_mutex_unlock(&lock);
        run(given, first, last);
        pthread_mutex_lock(&lock);
        running--;
    }
}

static void *serve(void *me)
{
    pthread_mutex_lock(&lock);
    for (;;) {
        if (!left)
            watch(&works, works);
        while (!left)
            pthread_cond_wait(&begin, &lock);
        take_parts((int)(intptr_t)me);
        if (!running)
            pthread_cond_signal(&end);
    }
    return me;
}

/* Starts the threads that are missing; they block all signals. */
static void start(void)
{
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (threads < helpers) {
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)(threads + 1)) != 0)
            break;
        pthread_detach(thread);
        threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void set_up(int cores)
{
    if (!helpers)
        pthread_atfork(NULL, NULL, forked);
    helpers = cores < MOST ? cores - 1 : MOST - 1;
}

/* Runs all parts of some work on all cores, or on this thread alone while the others are busy. */
void pool(part_ *work, void **pointers, ptrdiff_t length, ptrdiff_t most)
{
    if (pthread_mutex_trylock(&busy) != 0) {
        work(pointers, 0, length);
        return;
    }
    pthread_mutex_lock(&lock);
    start();
    run = work, given = pointers, n = length, size = most, left = (n + size - 1) / size, works++;
    for (int i = 0; i <= threads; i++) {
        begins[i] = left * i / (threads + 1);
        ends[i] = left * (i + 1) / (threads + 1);
    }
    pthread_cond_broadcast(&begin);
    take_parts(0);
    if (running)
        watch(&running, running);
    while (running)
        pthread_cond_wait(&end, &lock);
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&busy);
}

//// gemm
/* The BLAS that NumPy has loaded. */
typedef void gemm_$T(int order, int a_transposed, int b_transposed, $I m, $I n, $I k, $T alpha,
    const $T *a, $I a_step, const $T *b, $I b_step, $T beta, $T *c, $I c_step);

//// steps
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A copy that each step makes: `count` items of `size` bytes, those at `rows` unless it is 0.
   `to_step` and `from_step` are the bytes from one step's place to the next one's. */
typedef struct { int64_t to, from, rows, count, size, to_step, from_step; } move;
typedef uint32_t __attribute__((may_alias)) four;
typedef uint64_t __attribute__((may_alias)) eight;

static void copy(const move *m, ptrdiff_t step)
{
    char *to = (char *)(intptr_t)(m->to + step * m->to_step);
    const char *from = (const char *)(intptr_t)(m->from + step * m->from_step);
    const int64_t *rows = (const int64_t *)(intptr_t)m->rows + step * m->count;
    const ptrdiff_t count = m->count, size = m->size;
    if (!m->rows)
        memcpy(to, from, count * size);
    else if (size == 4)
        for (ptrdiff_t i = 0; i < count; i++)
            ((four *)to)[i] = ((const four *)from)[rows[i]];
    else if (size == 8)
        for (ptrdiff_t i = 0; i < count; i++)
            ((eight *)to)[i] = ((const eight *)from)[rows[i]];
    else
        for (ptrdiff_t i = 0; i < count; i++)
            memcpy(to + i * size, from + rows[i] * size, size);
}

/* Draws `count` orders of the numbers below n as NumPy's `RandomState.permutation` does, from the
   same random bits: `j = next & mask` is drawn again while it is above i. Processors cannot predict
   that branch, so first the places j are drawn without it, then numbers are exchanged. */
void orders(int64_t *to, int64_t n, int64_t count, uint32_t (*next)(void *), void *state)
{
    uint32_t places[512];
    for (; count > 0; count--, to += n) {
        uint32_t i = n > 0 ? n - 1 : 0, mask = 1;
        while (mask < i)
            mask = 2 * mask + 1;
        for (int64_t k = 0; k < n; k++)
            to[k] = k;
        while (i > 0) {
            const uint32_t first = i, last = i > 512 ? i - 512 : 0;
            while (i > last) {
                mask >>= i <= mask >> 1;
                places[first - i] = next(state) & mask;
                i -= places[first - i] <= i;
            }
            for (uint32_t k = first; k > last; k--) {
                const int64_t place = places[first - k], number = to[place];
                to[place] = to[k];
                to[k] = number;
            }
        }
    }
}

/* Runs a program `steps` times; makes the first `before` moves before each run, the others after
   it. Stops after a loss that is NaN or above `most`. Returns the number of runs. */
int64_t take_steps(void (*run)(void **), void **buffers, int64_t steps, const move *moves,
    int64_t before, int64_t all, const void *loss, int64_t loss_size, double most)
{
    for (ptrdiff_t step = 0; step < steps; step++) {
        for (int64_t i = 0; i < before; i++)
            copy(moves + i, step);
        run(buffers);
        for (int64_t i = before; i < all; i++)
            copy(moves + i, step);
        if (loss && !((loss_size == 4 ? *(const float *)loss : *(const double *)loss) <= most))
            return step + 1;
    }
    return steps;
}
