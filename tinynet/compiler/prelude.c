// The parts of C programs, each printed if a program needs it; `c_printer.py` fills in the names
// that begin with a dollar sign. $T is a type, $s the ending of its functions in libm.

//// header
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

//// bits/float
#ifdef __FP_FAST_FMAF
#define FMA_float(x, y, z) __builtin_fmaf(x, y, z)
#else
#define FMA_float(x, y, z) ((x) * (y) + (z))
#endif
#define UINT_float uint32_t
#define DIGITS_float 23
#define BIAS_float 127
#define MAGIC_float 12582912.0f
#define MAGIC_BITS_float 0x4b400000u
#define ROOT_HALF_BITS_float 0x3f3504f3u
#define TINY_float FLT_MIN
#define LIFT_DIGITS_float 25
#define LIFT_float 33554432.0f
#define LOG2E_float 1.4426950408889634f
#define LN2_float 0.6931471805599453f
#define LN2_HIGH_float 0.693359375f
#define LN2_LOW_float (-0.00021219444005469057f)
#define EXP_LEAST_float -104.0f
#define EXP_MOST_float 89.0f
#define TANH_MOST_float 20.0f

typedef union { float number; UINT_float bits; } bits_float;
static inline UINT_float bits_of_float(float x) { return ((bits_float){.number = x}).bits; }
static inline float float_of(UINT_float x) { return ((bits_float){.bits = x}).number; }

/* e^r - 1, for |r| <= log(2) / 2: the Taylor series. */
static inline float exp_series_float(float r)
{
    float p = 1.0f / 5040;
    p = FMA_float(p, r, 1.0f / 720);
    p = FMA_float(p, r, 1.0f / 120);
    p = FMA_float(p, r, 1.0f / 24);
    p = FMA_float(p, r, 1.0f / 6);
    p = FMA_float(p, r, 1.0f / 2);
    return FMA_float(p, r * r, r);
}

/* 2 artanh(s) / s - 2, for z = s * s <= 0.03: the Taylor series, without its last factor. */
static inline float artanh_series_float(float z)
{
    float p = 2.0f / 9;
    p = FMA_float(p, z, 2.0f / 7);
    p = FMA_float(p, z, 2.0f / 5);
    p = FMA_float(p, z, 2.0f / 3);
    return p;
}

//// bits/double
#ifdef __FP_FAST_FMA
#define FMA_double(x, y, z) __builtin_fma(x, y, z)
#else
#define FMA_double(x, y, z) ((x) * (y) + (z))
#endif
#define UINT_double uint64_t
#define DIGITS_double 52
#define BIAS_double 1023
#define MAGIC_double 6755399441055744.0
#define MAGIC_BITS_double 0x4338000000000000ull
#define ROOT_HALF_BITS_double 0x3fe6a09e667f3bcdull
#define TINY_double DBL_MIN
#define LIFT_DIGITS_double 54
#define LIFT_double 1.8014398509481984e+16
#define LOG2E_double 1.4426950408889634
#define LN2_double 0.6931471805599453
#define LN2_HIGH_double 0.6931471806019545
#define LN2_LOW_double (-4.2009150726810846e-11)
#define EXP_LEAST_double -746.0
#define EXP_MOST_double 710.0
#define TANH_MOST_double 44.0

typedef union { double number; UINT_double bits; } bits_double;
static inline UINT_double bits_of_double(double x) { return ((bits_double){.number = x}).bits; }
static inline double double_of(UINT_double x) { return ((bits_double){.bits = x}).number; }

/* e^r - 1, for |r| <= log(2) / 2: the Taylor series. */
static inline double exp_series_double(double r)
{
    double p = 1.0 / 6227020800;
    p = FMA_double(p, r, 1.0 / 479001600);
    p = FMA_double(p, r, 1.0 / 39916800);
    p = FMA_double(p, r, 1.0 / 3628800);
    p = FMA_double(p, r, 1.0 / 362880);
    p = FMA_double(p, r, 1.0 / 40320);
    p = FMA_double(p, r, 1.0 / 5040);
    p = FMA_double(p, r, 1.0 / 720);
    p = FMA_double(p, r, 1.0 / 120);
    p = FMA_double(p, r, 1.0 / 24);
    p = FMA_double(p, r, 1.0 / 6);
    p = FMA_double(p, r, 1.0 / 2);
    return FMA_double(p, r * r, r);
}

/* 2 artanh(s) / s - 2, for z = s * s <= 0.03: the Taylor series, without its last factor. */
static inline double artanh_series_double(double z)
{
    double p = 2.0 / 21;
    p = FMA_double(p, z, 2.0 / 19);
    p = FMA_double(p, z, 2.0 / 17);
    p = FMA_double(p, z, 2.0 / 15);
    p = FMA_double(p, z, 2.0 / 13);
    p = FMA_double(p, z, 2.0 / 11);
    p = FMA_double(p, z, 2.0 / 9);
    p = FMA_double(p, z, 2.0 / 7);
    p = FMA_double(p, z, 2.0 / 5);
    p = FMA_double(p, z, 2.0 / 3);
    return p;
}

//// exp
/* x = n log 2 + r; the factor 2^n is two factors, so that denormals are rounded once. */
static inline $T exp_$T($T x)
{
    x = x < EXP_LEAST_$T ? EXP_LEAST_$T : x;
    x = x > EXP_MOST_$T ? EXP_MOST_$T : x;
    const $T shifted = FMA_$T(x, LOG2E_$T, MAGIC_$T), n = shifted - MAGIC_$T;
    const $T r = FMA_$T(n, -LN2_LOW_$T, FMA_$T(n, -LN2_HIGH_$T, x));
    const UINT_$T k = bits_of_$T(shifted) - MAGIC_BITS_$T + 4 * (BIAS_$T + 1), half = k >> 1;
    const UINT_$T first = half - BIAS_$T - 2, second = k - half - BIAS_$T - 2;
    return (1 + exp_series_$T(r)) * $T_of(first << DIGITS_$T) * $T_of(second << DIGITS_$T);
}

//// tanh
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

//// log
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

//// logaddexp
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

//// INT32
/* What x86 gives where C leaves the result open: NaN, and numbers out of range. */
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

//// sum
/* A sum of numbers that are `step` apart: in blocks, and with the rounding errors of joining these,
   so that it is as accurate as pairwise summation. */
static $T $function(const $X *x, ptrdiff_t n, ptrdiff_t step$more)
{
    $T total = 0, lost = 0;
    for (ptrdiff_t i = 0; i < n;) {
        const ptrdiff_t stop = n - i < 256 ? n : i + 256;
        $T lane[16] = {0};
        for (; i + 16 <= stop; i += 16)
            for (int k = 0; k < 16; k++)
                lane[k] += x[(i + k) * step]$factor;
        for (int k = 0; i < stop; i++, k++)
            lane[k] += x[i * step]$last;
        for (int half = 8; half; half /= 2)
            for (int k = 0; k < half; k++)
                lane[k] += lane[k + half];
        const $T before = total, part = lane[0];
        total += part;
        lost += (before - (total - (total - before))) + (part - (total - before));
    }
    return lost - lost == 0 ? total + lost : total; /* infinities have lost NaN */
}

//// extreme
static $T $function(const $X *x, ptrdiff_t n, ptrdiff_t step)
{
    $T lane[16];
    for (int k = 0; k < 16; k++)
        lane[k] = x[0];
    for (ptrdiff_t i = 0; i < n; i += 16)
        for (int k = 0; k < 16; k++) {
            const $T a = lane[k], b = x[(i + k < n ? i + k : 0) * step];
            lane[k] = $join;
        }
    for (int k = 1; k < 16; k++) {
        const $T a = lane[0], b = lane[k];
        lane[0] = $join;
    }
    return lane[0];
}

//// rows
/* Rows, in blocks, joined with `out`. */
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
#else
#define FUSED __attribute__((optimize("fp-contract=fast")))
#define FUSE
#define UNROLL _Pragma("GCC unroll 8")
#endif

//// product
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
            for (ptrdiff_t i = 0; i < deep * WIDTH_$T && width < WIDTH_$T; i++)
                panel[i] = 0;
            for (ptrdiff_t row = 0; row < deep && !whole; row++)
                for (ptrdiff_t i = 0; i < width; i++)
                    panel[row * WIDTH_$T + i] = from[row * bk + i * bj];
            for (ptrdiff_t i = 0; i < m;) {
#define TILE(rows) (tile_$T(rows, deep, a + i * ai + k * ak, ai, ak, whole ? from : panel, \
    whole ? bk : WIDTH_$T, c + i * ci + j, ci, width, k > 0), rows)
                const ptrdiff_t left = m - i;
                i += left >= HEIGHT ? TILE(HEIGHT) : left >= 4 ? TILE(4) : left >= 2 ? TILE(2) : TILE(1);
#undef TILE
            }
        }
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

/* What is copied at a step: `count` items of `size` bytes, those at `rows` unless it is 0. From one
   step to the next, `to` and `from` go on by so many bytes. */
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

/* Runs a program `steps` times; before each run it makes the first moves, after it the others. It
   stops after a loss that is NaN or above `most`. Returns how many runs there were. */
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
