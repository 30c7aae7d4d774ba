"""RA-UNet in Keras, saved in every layout of HDF5 that Keras has had: the oracle for `hepar model import-keras`.

    pip install -r requirements.txt && python keras_goldens.py

writes crates/hepar-interchange/tests/golden/: the files that Keras saved (compressed: most of HDF5 is zeros) and
keras.json, the networks' outputs. The network is written from its description (Jin et al., arXiv 1811.01328) with the
layers created in the original's order and named by Keras itself.

As the original does, the network is fed with arrays whose axes are x, y(, z). Weights and inputs come from their names
(`generator.py`) in hepar's order, [out, in, (z,) y, x] and [n, 1, (z,) y, x], and are transposed for Keras; outputs are
transposed back. An input is named `input:NET:SHAPE`.
"""

import gzip
import json
import os
import tempfile
from pathlib import Path

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras as keras3
import tf_keras as keras2

from generator import array, weight

FOLDER = Path(__file__).resolve().parents[2] / "crates" / "hepar-interchange" / "tests" / "golden"
EPSILON = 1e-3
# Neighbours differ, so that a block of one level does not fit the next.
WIDTHS = (4, 8, 4, 4, 8, 4)


class Net:
    """The network's layers as they are created, each with the name that hepar has for it."""

    def __init__(self, keras, dims):
        self.keras, self.dims, self.layers = keras, dims, []
        x = keras.Input((None,) * dims + (1,))
        self.model = keras.Model(x, self.raunet(x))

    def raunet(self, x):
        w0, w1, w2, w3, w4, w5 = WIDTHS
        conv1 = self.entry("conv1", x, w0)
        res1 = self.block("res1", self.pool(conv1), w1)
        res2 = self.block("res2", self.pool(res1), w2)
        res3 = self.block("res3", self.pool(res2), w3)
        res4 = self.block("res4", self.pool(res3), w4)
        x = self.block("res5a", self.pool(res4), w5)
        x = self.block("res5b", x, w5)
        for level, (skip, width) in enumerate([(res4, w4), (res3, w3), (res2, w2), (res1, w1)], start=1):
            skip = self.attention(f"atten{level}", skip, width, level)
            x = self.block(f"up{level}", self.concatenate(self.upsample(x), skip), width)
        x = self.entry("conv9", self.concatenate(self.upsample(x), conv1), w0)
        return self.activation("sigmoid", self.conv("output", x, 1, 3))

    def block(self, name, x, width):
        y = self.norm_relu(f"{name}.norm1", x)
        y = self.conv(f"{name}.conv1", y, width // 4, 1)
        y = self.norm_relu(f"{name}.norm2", y)
        y = self.conv(f"{name}.conv2", y, width // 4, 3)
        y = self.norm_relu(f"{name}.norm3", y)
        y = self.conv(f"{name}.conv3", y, width, 1)
        shortcut = self.conv(f"{name}.shortcut", x, width, 1)
        return self.keras.layers.Add()([y, shortcut])

    def attention(self, name, x, width, depth):
        x = self.block(f"{name}.first", x, width)
        trunk = self.block(f"{name}.trunk1", x, width)
        trunk = self.block(f"{name}.trunk2", trunk, width)
        m = self.block(f"{name}.mask.down1", self.pool(x), width)
        skips = []
        for s in range(1, depth):
            skips.append(self.block(f"{name}.mask.skip{s}", m, width))
            m = self.block(f"{name}.mask.down{s + 1}", self.pool(m), width)
        for s in range(1, depth):
            m = self.block(f"{name}.mask.up{s}", m, width)
            m = self.keras.layers.Add()([self.upsample(m), skips.pop()])
        m = self.upsample(self.block(f"{name}.mask.last", m, width))
        m = self.conv(f"{name}.mask.a", m, width, 1)
        m = self.activation("sigmoid", self.conv(f"{name}.mask.b", m, width, 1))
        gated = self.keras.layers.Multiply()([m, trunk])
        # The original's additions (1 + mask) · trunk are layers that it named itself.
        gated = self.keras.layers.Add(name=name)([trunk, gated])
        return self.block(f"{name}.last", gated, width)

    def entry(self, name, x, width):
        return self.norm_relu(f"{name}.norm", self.conv(f"{name}.conv", x, width, 3))

    def norm_relu(self, name, x):
        layer = self.keras.layers.BatchNormalization(epsilon=EPSILON, momentum=0.99)
        x = layer(x)
        channels = x.shape[-1]
        parts = [f"{name}.{part}" for part in ("gamma", "beta", "mean", "variance")]
        self.layers.append((layer, [weight(part, (channels,)) for part in parts]))
        return self.activation("relu", x)

    def conv(self, name, x, width, side):
        layer = self.of_rank("Conv")(width, side, padding="same")
        kernel = weight(f"{name}.weight", (width, x.shape[-1]) + (side,) * self.dims)
        # [out, in, (z,) y, x] becomes [x, y, (z,) in, out].
        kernel = kernel.transpose(*reversed(range(2, 2 + self.dims)), 1, 0)
        x = layer(x)
        self.layers.append((layer, [kernel, weight(f"{name}.bias", (width,))]))
        return x

    def pool(self, x):
        return self.of_rank("MaxPooling")(2)(x)

    def upsample(self, x):
        return self.of_rank("UpSampling")(2)(x)

    def concatenate(self, upsampled, skip):
        return self.keras.layers.Concatenate()([upsampled, skip])

    def activation(self, kind, x):
        return self.keras.layers.Activation(kind)(x)

    def of_rank(self, kind):
        return getattr(self.keras.layers, f"{kind}{self.dims}D")

    def output(self, x):
        """Probabilities, N × 1 × (z ×) y × x, of an input of that shape."""
        order = (0, *reversed(range(2, 2 + self.dims)), 1)
        y = np.asarray(self.model(x.transpose(order)))
        return y.transpose(np.argsort(order))


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    cases = [
        # Keras 2's weights, as the original has them; numbers run on from a net that was made before.
        case("keras2", keras2, 2, (2, 1, 32, 64), "h5", second=True),
        case("keras2", keras2, 3, (1, 1, 32, 64, 96), "h5"),
        # Today's Keras: whole models, and weights in its own layout.
        case("keras3", keras3, 2, (2, 1, 32, 64), "model.h5"),
        case("keras3", keras3, 3, (1, 1, 32, 64, 96), "weights.h5", second=True),
    ]
    path = FOLDER / "keras.json"
    lines = [json.dumps(described) for described in cases]
    path.write_text('{"script": "tests/oracles/keras_goldens.py", "cases": [\n' + ",\n".join(lines) + "\n]}\n")


def case(name, keras, dims, shape, ending, second=False):
    """Saves a net in a layout and describes its file and output."""
    keras.backend.clear_session()
    if second:
        Net(keras, dims)
    net = Net(keras, dims)
    for layer, weights in net.layers:
        layer.set_weights(weights)
    assert net.model.count_params() == sum(w.size for _, weights in net.layers for w in weights)
    file = f"{name}_{dims}d.{ending}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        (net.model.save if ending == "model.h5" else net.model.save_weights)(path)
        saved = path.read_bytes()
    packed = gzip.compress(saved, 9, mtime=0)
    (FOLDER / f"{file}.gz").write_bytes(packed)

    source = f"input:{name}_{dims}d:{'x'.join(map(str, shape))}"
    y = net.output(array(source, shape))
    print(f"{file}: {len(saved)} bytes, {len(packed)} compressed; output {y.min():.3f}..{y.max():.3f}")
    assert y.max() - y.min() > 0.4, "the output is flat"
    stride = -(-y.size // 150) | 1
    samples = [float(f"{v:.9g}") for v in y.flatten()[::stride]]
    return {"file": file, "dims": dims, "widths": WIDTHS, "shape": shape, "input": source, "stride": stride,
            "values": samples}


if __name__ == "__main__":
    main()
