"""Weights and inputs that every language can make again from a name: `hepar_model::generated` in Rust.

Value n of the tensor called `name` comes from splitmix64 (Steele, Lea, Flood 2014) with the seed FNV-1a-64(`name`).

    kind                     value, from u in [0, 1)
    *.gamma, *.variance      in [0.5, 1.5)
    *.beta, *.mean           in [−0.5, 0.5)
    *.bias                   in [−0.1, 0.1)
    *.weight                 in [−a, a), a = sqrt(3·gain / fan_in), fan_in = inputs · kernel volume, gain: see GAINS

where "in [lo, hi)" is lo + (hi − lo)·u in f64, rounded to f32 once. The gains are chosen so that white noise still
gives an output that varies: a flat one would notice no error.
"""

import math

import numpy as np

# The first rule whose end the weight's name has.
GAINS = [
    ("output.weight", 6.0),
    ("conv9.conv.weight", 4.0),
    ("conv1.conv.weight", 0.5),
    ("mask.a.weight", 1.0),
    ("mask.b.weight", 1.0),
    ("shortcut.weight", 1.0),
    ("conv2.weight", 4.0),
    (".weight", 0.25),
]
RANGES = {
    "gamma": (0.5, 1.5),
    "beta": (-0.5, 0.5),
    "mean": (-0.5, 0.5),
    "variance": (0.5, 1.5),
    "bias": (-0.1, 0.1),
}


def uniform(name, count):
    """`count` values in [0, 1): element n is splitmix64's finalizer of FNV-1a(name) + (n + 1)·golden ratio."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = ((state ^ byte) * 0x100000001B3) % 2**64
    z = np.uint64(state) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def array(name, shape, low=0.0, high=1.0):
    """The f32 array of that name, in C order."""
    return (low + (high - low) * uniform(name, math.prod(shape))).astype(np.float32).reshape(tuple(shape))


def value_range(name, shape):
    """Between which numbers the values of a weight lie; `shape` is [out, in, ...] for kernels."""
    kind = name.rsplit(".", 1)[-1]
    if kind != "weight":
        return RANGES[kind]
    fan_in = math.prod(shape[1:])
    limit = math.sqrt(3 * gain(name) / fan_in)
    return -limit, limit


def gain(name):
    return next(value for end, value in GAINS if name.endswith(end))


def weight(name, shape):
    """The weight or statistic of that name."""
    return array(name, shape, *value_range(name, shape))
