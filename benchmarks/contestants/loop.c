/* An epoch of training in plain C: dense layers, sigmoid except for the last, mean squared error.
   Weights lie one after the other, each kernel (inputs by units) followed by its bias. */
#include <math.h>
#include <stdint.h>

typedef int64_t integer;

/* out = a b + bias, for a of n by k and b of k by m: adds rows of b, which are contiguous. */
static void dense(const float *restrict a, const float *restrict b, const float *restrict bias,
                  float *restrict out, integer n, integer k, integer m) {
    for (integer i = 0; i < n; i++, a += k, out += m) {
        for (integer j = 0; j < m; j++) out[j] = bias[j];
        for (integer l = 0; l < k; l++) {
            const float factor = a[l];
            for (integer j = 0; j < m; j++) out[j] += factor * b[l * m + j];
        }
    }
}

static void sigmoid(float *restrict a, integer n) {
    for (integer i = 0; i < n; i++) a[i] = 1 / (1 + expf(-a[i]));
}

/* out[l] is where layer l's outputs are; out[0] is the input. Returns the last. */
static const float *forward(const float *x, integer n, integer layers, const integer *sizes,
                            const float *weights, float *room) {
    const float *in = x;
    for (integer l = 1; l < layers; l++) {
        const integer k = sizes[l - 1], m = sizes[l];
        dense(in, weights, weights + k * m, room, n, k, m);
        if (l < layers - 1) sigmoid(room, n * m);
        weights += (k + 1) * m;
        in = room;
        room += n * m;
    }
    return in;
}

void predict(const float *x, integer rows, integer layers, const integer *sizes,
             const float *weights, float *room, float *out) {
    const float *last = forward(x, rows, layers, sizes, weights, room);
    for (integer i = 0; i < rows * sizes[layers - 1]; i++) out[i] = last[i];
}

/* From delta, the gradient of layer l's outputs, compute those of its weights and inputs. */
static void backward(const float *restrict in, const float *restrict delta,
                     const float *restrict kernel, float *restrict d_kernel,
                     float *restrict d_bias, float *restrict d_in,
                     integer n, integer k, integer m) {
    for (integer j = 0; j < k * m; j++) d_kernel[j] = 0;
    for (integer j = 0; j < m; j++) d_bias[j] = 0;
    for (integer i = 0; i < n; i++, in += k, delta += m) {
        for (integer j = 0; j < m; j++) d_bias[j] += delta[j];
        for (integer l = 0; l < k; l++) {
            const float factor = in[l];
            for (integer j = 0; j < m; j++) d_kernel[l * m + j] += factor * delta[j];
        }
        if (!d_in) continue;
        for (integer l = 0; l < k; l++) {
            float sum = 0;
            for (integer j = 0; j < m; j++) sum += delta[j] * kernel[l * m + j];
            d_in[l] = sum * in[l] * (1 - in[l]);
        }
        d_in += k;
    }
}

static void adam(float *restrict w, const float *restrict g, float *restrict m, float *restrict v,
                 integer n, float alpha) {
    for (integer i = 0; i < n; i++) {
        m[i] += (g[i] - m[i]) * 0.1f;
        v[i] += (g[i] * g[i] - v[i]) * 0.001f;
        w[i] -= alpha * m[i] / (sqrtf(v[i]) + 1e-7f);
    }
}

static void sgd(float *restrict w, const float *restrict g, integer n, float rate) {
    for (integer i = 0; i < n; i++) w[i] -= rate * g[i];
}

/* room holds the input of a batch, all layers' outputs, and the gradients of all of these. */
double epoch(const float *x_all, const float *y_all, const integer *order, integer rows,
             integer batch, integer layers, const integer *sizes, integer count, float *weights,
             float *gradients, float *m, float *v, float *room, integer *taken, double rate,
             integer is_adam) {
    const integer inputs = sizes[0], targets = sizes[layers - 1];
    integer units = 0;
    double total = 0;
    for (integer l = 0; l < layers; l++) units += sizes[l];
    for (integer start = 0; start < rows; start += batch) {
        const integer n = rows - start < batch ? rows - start : batch;
        float *x = room, *outputs = room + n * inputs;
        for (integer i = 0; i < n; i++)
            for (integer j = 0; j < inputs; j++)
                x[i * inputs + j] = x_all[order[start + i] * inputs + j];
        const float *last = forward(x, n, layers, sizes, weights, outputs);

        float *delta = room + n * (2 * units - targets);
        double loss = 0;
        for (integer i = 0; i < n; i++)
            for (integer j = 0; j < targets; j++) {
                const float error =
                    last[i * targets + j] - y_all[order[start + i] * targets + j];
                loss += error * error;
                delta[i * targets + j] = error * (2.0f / (n * targets));
            }
        total += loss / targets;

        const float *in = last, *kernel = weights + count;
        float *d_kernel = gradients + count;
        for (integer l = layers - 1; l > 0; l--) {
            const integer from = sizes[l - 1], to = sizes[l];
            in -= n * from;
            kernel -= (from + 1) * to;
            d_kernel -= (from + 1) * to;
            float *d_in = l > 1 ? delta - n * from : 0;
            backward(in, delta, kernel, d_kernel, d_kernel + from * to, d_in, n, from, to);
            delta = d_in;
        }

        const double t = (double)++*taken;
        if (is_adam)
            adam(weights, gradients, m, v, count,
                 rate * sqrt(1 - pow(0.999, t)) / (1 - pow(0.9, t)));
        else
            sgd(weights, gradients, count, rate);
    }
    return total / rows;
}
