"""Jacobians, Hessians and `vmap` compared with those of JAX, which computes for Keras."""

import jax
import jax.numpy as jnp
import numpy as np
from helpers import assert_close, assert_same, normal, over

import tinynet as tn

W, B, C, X = (normal(i, *shape) for i, shape in enumerate([(30, 3), (30,), (30,), (3,)]))
A, Z, BATCH = normal(4, 30, 30) / 5, normal(5, 30), normal(6, 8, 3)

# Functions of a vector, written for both: `o` is `tn.ops` or `jax.numpy`.
FUNCTIONS = {
    "a dense layer": lambda o, x: o.tanh(o.matmul(W, x) + B) * C,
    "two layers": lambda o, x: o.tanh(o.matmul(A, o.tanh(o.matmul(W, x) + B))),
    "products and sums": lambda o, x: o.exp(o.matmul(W, x) / 5) / o.sum(x * x) + o.sum(x) * C,
    "softmax": lambda o, x: o.exp(o.matmul(W, x)) / o.sum(o.exp(o.matmul(W, x))),
    "extremes": lambda o, x: o.maximum(o.matmul(W, x), o.max(x)) * o.min(x),
    "indices": lambda o, x: o.concatenate(
        [x[::-1] * x[1], x[np.array([2, 0, 2])] ** 2, x[None, 0]]
    ),
    "shapes": lambda o, x: o.matmul(o.reshape(o.matmul(W, x), (5, 6)), A[:6, :2]) * x[0],
    "a matrix": lambda o, x: o.matmul(o.reshape(x, (3, 1)) * x, W.T),
    "conditions": lambda o, x: o.where(o.matmul(W, x) > 0, o.sin(x[0]) * B, o.matmul(W, x) ** 3),
}


@over(FUNCTIONS, "f")
def test_jacobians_of_first_and_second_order_equal_jaxs(f):
    def computed(jacobian, jit, o):
        first = jacobian(lambda x: f(o, x))
        return jit(lambda x: [first(x), jacobian(first)(x)])(X)

    expected = computed(jax.jacrev, jax.jit, jnp)
    for jit in (tn.jit, lambda f: f):
        for one, other in zip(computed(tn.jacobian, jit, tn.ops), expected, strict=True):
            assert one.dtype == other.dtype
            scale = 1 + np.abs(other).max()  # XLA's tanh of float32 is exact to several units
            assert_close(one.numpy() / scale, np.asarray(other) / scale, rtol=1e-4, atol=1e-5)


@over(FUNCTIONS, "f")
def test_gradients_of_a_batch_equal_jaxs(f):
    scalar = [lambda x, o=o: o.sum(o.sin(f(o, x))) for o in (tn.ops, jnp)]
    expected = jax.jit(jax.vmap(jax.grad(scalar[1]), 1, 1))(BATCH.T)
    found = tn.vmap(tn.grad(scalar[0]), 1, 1)(BATCH.T)
    assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert_same(tn.jit(tn.vmap(tn.grad(scalar[0]), 1, 1))(BATCH.T), found)


def test_the_hessian_of_thirty_inputs_equals_jaxs():
    def energy(o, z):
        return o.sum(o.tanh(o.matmul(A, z)) ** 2) + o.sum(z**4)

    expected = jax.hessian(lambda z: energy(jnp, z))(Z)
    for jit in (tn.jit, lambda f: f):
        found = jit(tn.hessian(lambda z: energy(tn.ops, z)))(Z)
        assert_close(found, expected, rtol=1e-4, atol=1e-4)
