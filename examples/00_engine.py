"""An automatic differentiation engine in sixty lines.

The page docs/engine.md builds it step by step. A tensor remembers the tensors that it was computed
from. Each operation has one rule for each input. It turns the derivative of the loss with respect
to the result into the derivative with respect to the input. `gradients` applies these rules from
the loss back to the weights. Here a neuron learns a line with the engine, and its derivatives are
compared with those of tinynet.

    python examples/00_engine.py
"""

import numpy as np


class Tensor:
    """An array, the tensors that it was computed from, and a rule for each of them."""

    __array_ufunc__ = None  # so that array * tensor is a tensor, too

    def __init__(self, data, inputs=(), rules=()):
        self.data = np.asarray(data, "float64")
        self.inputs, self.rules = inputs, rules


def operation(compute, *rules):
    """Return a function of tensors: how arrays are computed, and a rule for each input."""

    def function(*inputs):
        inputs = [x if isinstance(x, Tensor) else Tensor(x) for x in inputs]
        return Tensor(compute(*[x.data for x in inputs]), inputs, rules)

    return function


add = operation(np.add, lambda ct, a, b: ct, lambda ct, a, b: ct)
multiply = operation(np.multiply, lambda ct, a, b: ct * b, lambda ct, a, b: ct * a)
matmul = operation(
    np.matmul,
    lambda ct, a, b: ct @ transpose(b),
    lambda ct, a, b: transpose(a) @ ct,
)
transpose = operation(np.transpose, lambda ct, a: transpose(ct))
total = operation(np.sum, lambda ct, a: ct * np.ones(a.data.shape))
tanh = operation(np.tanh, lambda ct, a: ct * (1 - tanh(a) * tanh(a)))

Tensor.__add__ = Tensor.__radd__ = add
Tensor.__mul__ = Tensor.__rmul__ = multiply
Tensor.__matmul__ = matmul
Tensor.__rmatmul__ = lambda b, a: matmul(a, b)
Tensor.__sub__ = lambda a, b: a + -1 * b
Tensor.__rsub__ = lambda b, a: a + -1 * b


def unbroadcast(ct, shape):
    """Sum a derivative over the axes along which an input of this shape was repeated."""
    if ct.data.shape == shape:
        return ct
    ones = np.ones(ct.data.shape)

    def add_up(a):
        a = a.sum(axis=tuple(range(a.ndim - len(shape))))
        return a.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)

    return operation(add_up, lambda ct, a: ct * ones)(ct)


def history(t, seen):
    """Return the tensors that t was computed from and t itself, each after its inputs."""
    if t in seen:
        return []
    seen.add(t)
    return [before for x in t.inputs for before in history(x, seen)] + [t]


def gradients(loss, weights):
    """Return the derivatives of a number with respect to each of the weights, as tensors."""
    found = {loss: Tensor(1.0)}
    for t in reversed(history(loss, set())):
        for x, rule in zip(t.inputs, t.rules, strict=True):
            part = unbroadcast(rule(found[t], *t.inputs), x.data.shape)
            found[x] = found[x] + part if x in found else part
    return [found[w] for w in weights]


def main(out=None):
    """Run the example; return the results, which the tests check."""
    import tinynet as tn

    x = np.linspace(0, 1, 100).reshape(-1, 1)
    y = 1.35 * x + 0.5
    w, b = Tensor([[0.0]]), Tensor([0.0])
    for _ in range(500):
        error = x @ w + b - y
        grads = gradients(total(error * error) * (1 / len(x)), [w, b])
        w, b = (Tensor(v.data - 0.5 * g.data) for v, g in zip((w, b), grads, strict=True))
    print(f"the line of the sixty lines: {w.data.item():.4f} x + {b.data.item():.4f}")

    v = Tensor(0.5)
    (first,) = gradients(tanh(v * v), [v])
    (second,) = gradients(first, [v])
    ours = tn.grad(lambda t: tn.ops.tanh(t * t)), tn.hessian(lambda t: tn.ops.tanh(t * t))
    numbers = [f(np.array(0.5)).item() for f in ours]
    print(f"derivatives of tanh(v * v) at 0.5:  {first.data:.12f}  {second.data:.12f}")
    print(f"tinynet:                            {numbers[0]:.12f}  {numbers[1]:.12f}")
    return {
        "line": (w.data.item(), b.data.item()),
        "derivatives": (first.data.item(), second.data.item()),
        "tinynet": numbers,
    }


if __name__ == "__main__":
    main()
