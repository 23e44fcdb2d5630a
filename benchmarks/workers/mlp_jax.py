"""JAX: the whole epoch in one compiled scan."""

from __future__ import annotations

from images import BATCH, HIDDEN, LATENT, PIXELS, images
from worker import serve


def main() -> None:
    import jax
    import jax.numpy as jnp
    import optax

    x = jnp.asarray(images())
    steps = -(-len(x) // BATCH)
    shapes = {"a": (PIXELS, HIDDEN), "b": (HIDDEN, 2 * LATENT), "c": (LATENT, HIDDEN), "d": (HIDDEN, PIXELS)}
    keys = jax.random.split(jax.random.key(0), len(shapes))
    weights = {
        name: (jax.random.normal(key, shape) / shape[0] ** 0.5, jnp.zeros(shape[1]))
        for key, (name, shape) in zip(keys, shapes.items(), strict=True)
    }
    optimizer = optax.adam(1e-3)

    def layer(parameters, h):
        weight, bias = parameters
        return h @ weight + bias

    def loss(weights, batch, key):
        m, s = jnp.split(layer(weights["b"], jax.nn.relu(layer(weights["a"], batch))), 2, axis=-1)
        z = m + jax.random.normal(key, m.shape) * jnp.exp(0.5 * s)
        logits = layer(weights["d"], jax.nn.relu(layer(weights["c"], z)))
        log_px = -optax.sigmoid_binary_cross_entropy(logits, batch).sum(-1)
        kl = -0.5 * (1 + s - m**2 - jnp.exp(s)).sum(-1)
        return (kl - log_px).mean()

    @jax.jit
    def run(weights, state, key):
        order_key, noise_key = jax.random.split(key)
        order = jax.random.permutation(order_key, len(x))[: steps // 1 * BATCH]
        order = jnp.resize(order, (steps, BATCH))

        def step(carry, given):
            weights, state = carry
            rows, key = given
            value, gradient = jax.value_and_grad(loss)(weights, x[rows].astype(jnp.float32), key)
            change, state = optimizer.update(gradient, state)
            return (optax.apply_updates(weights, change), state), value

        (weights, state), values = jax.lax.scan(step, (weights, state), (order, jax.random.split(noise_key, steps)))
        return weights, state, values.mean()

    held = {"weights": weights, "state": optimizer.init(weights), "key": jax.random.key(1)}

    def epoch() -> float:
        held["key"], key = jax.random.split(held["key"])
        held["weights"], held["state"], value = run(held["weights"], held["state"], key)
        return float(value)

    serve(epoch)


main()
