"""Golden numbers of RA-UNet for crates/hepar-nets/tests/golden, from the PyTorch oracle beside this file.

    pip install -r requirements.txt && python raunet_goldens.py

Weights, inputs and targets stand in no file: every language makes them from their names (see `generator.py`). An input
is named `input:NET:SHAPE`, a target `target:NET:SHAPE`, the shape joined by "x"; a weight has its name in the network.
A target is 1 where u < 0.3, else 0. Everything is computed in float64 from those f32 values.
"""

import json
import math
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import raunet_torch as raunet
from generator import GAINS, RANGES, array, uniform, weight

FOLDER = Path(__file__).resolve().parents[2] / "crates" / "hepar-nets" / "tests" / "golden"

TARGET_SHARE = 0.3

NARROW = (8, 8, 16, 32, 64, 128)
INFERENCE = [
    ("raunet-i", raunet.RAUNET_I, (1, 1, 64, 64)),
    ("raunet-i", raunet.RAUNET_I, (2, 1, 64, 96)),
    ("raunet-ii", raunet.RAUNET_II, (1, 1, 32, 32, 64)),
    ("raunet-ii", raunet.RAUNET_II, (1, 1, 64, 64, 64)),
    ("raunet-ii", (3, NARROW), (1, 1, 32, 64, 32)),
]
TRAINING = [
    ("raunet-i", (2, NARROW), (2, 1, 64, 64)),
    ("raunet-ii", (3, NARROW), (2, 1, 32, 64, 64)),
]
SILENT_ERRORS = [
    ("raunet-i", raunet.RAUNET_I, (1, 1, 64, 64)),
    ("raunet-ii", raunet.RAUNET_II, (1, 1, 32, 32, 64)),
]

# Tensors whose gradient is sampled value by value; of all others the norm and the sum are kept.
BLOCK = ["norm1.gamma", "norm2.beta", "norm3.gamma", "conv1.weight", "conv2.weight", "conv3.weight", "shortcut.weight",
         "conv3.bias", "shortcut.bias"]
SAMPLED_GRADIENTS = [
    "input", "conv1.conv.weight", "conv1.norm.gamma", "conv1.norm.beta",
    *[f"{block}.{tensor}" for block in ["res1", "res5b", "up4"] for tensor in BLOCK],
    "res3.conv2.weight", "res4.conv2.weight", "res5a.shortcut.weight",
    "atten1.trunk1.conv2.weight", "atten1.mask.a.weight", "atten1.mask.b.weight", "atten1.last.conv1.weight",
    "atten4.first.conv2.weight", "atten4.trunk2.conv2.weight", "atten4.mask.down1.conv2.weight",
    "atten4.mask.skip1.conv2.weight", "atten4.mask.skip3.conv2.weight", "atten4.mask.down2.conv2.weight",
    "atten4.mask.down4.conv2.weight", "atten4.mask.up1.conv2.weight", "atten4.mask.up3.conv2.weight",
    "atten4.mask.last.conv2.weight", "atten4.mask.a.weight", "atten4.mask.a.bias", "atten4.mask.b.weight",
    "atten4.mask.b.bias", "atten4.last.conv2.weight",
    "up1.conv2.weight", "up1.shortcut.weight", "up2.conv2.weight", "up3.conv2.weight",
    "conv9.conv.weight", "conv9.norm.gamma", "conv9.norm.beta", "output.weight", "output.bias",
]
SAMPLED_NORMS = ["conv1.norm", "res1.norm1", "res3.norm2", "res5a.norm2", "res5b.norm1", "res5b.norm3",
                 "atten1.mask.last.norm1", "atten4.mask.down4.norm2", "up4.norm1", "conv9.norm"]


def main():
    torch.set_num_threads(1)
    raunet.check_counts()
    FOLDER.mkdir(parents=True, exist_ok=True)
    write("raunet_silent_errors.json", {"cases": [silent_errors(*case) for case in SILENT_ERRORS]})
    write("raunet_training.json", {"generator": generator(), "cases": [training(*case) for case in TRAINING]})
    write("raunet_inference.json", {"generator": generator(), "cases": [inference(*case) for case in INFERENCE]})


def inference(name, architecture, shape):
    """One forward pass with the running statistics."""
    x, net = tensor(f"input:{name}:{joined(shape)}", shape), filled(architecture).eval()
    with torch.no_grad():
        single = net(x)
        output = net.double()(x.double())
    check_spread(name, shape, output)
    return {
        **described(name, architecture, shape),
        "f32_error": short((single - output).abs().max()),
        "output": {**statistics(output), **sample(output, 200)},
    }


def training(name, architecture, shape):
    """One training step's loss, gradients and running statistics; nothing is updated but the latter."""
    single, double = (step(name, architecture, shape, dtype) for dtype in (torch.float32, torch.float64))
    check_spread(name, shape, double["output"])
    gradients = double["gradients"]
    zero = sorted(n for n in gradients if feeds_a_norm(n))
    largest = max(norm(g) for g in gradients.values())
    for tensor_name, gradient in gradients.items():
        assert (norm(gradient) < 1e-13 * largest) == (tensor_name in zero), (tensor_name, norm(gradient), largest)
    error = {n: norm(single["gradients"][n] - g) / norm(g) for n, g in gradients.items() if n not in zero}
    worst = max(error, key=error.get)
    print(f"{name} {joined(shape)}: loss {double['loss']:.6f}, largest gradient {largest:.3g}, f32 gradient errors: "
          f"median {np.median(list(error.values())):.2g}, worst {error[worst]:.2g} ({worst})")
    return {
        **described(name, architecture, shape),
        "target": f"target:{name}:{joined(shape)}",
        "loss": digits(double["loss"]),
        "output": {**statistics(double["output"]), **sample(double["output"], 50)},
        "f32_error": {
            "output": short((single["output"] - double["output"]).abs().max()),
            "loss": short(abs(single["loss"] - double["loss"])),
            "gradients": {
                "rule": "norm of the difference / norm",
                "median": short(np.median(list(error.values()))),
                "worst": short(error[worst]),
                "worst_tensor": worst,
                "largest_zero": short(max(norm(single["gradients"][n]) for n in zero)),
            },
        },
        "gradients_that_are_zero": {
            "why": "the bias feeds a batch norm, which removes it",
            "tensors": zero,
        },
        "gradients": {n: {"norm": digits(norm(g), 7), "sum": digits(g.sum(), 7)}
                      for n, g in gradients.items() if n not in zero},
        "gradient_samples": {n: sample(gradients[n], 20) for n in SAMPLED_GRADIENTS},
        "running_statistics": {n: {part: sample(double["buffers"][f"{n}.{part}"], 16) for part in ("mean", "variance")}
                               for n in SAMPLED_NORMS},
    }


def step(name, architecture, shape, dtype):
    """Loss, output, gradients and moved statistics of one training step in the given precision."""
    net = filled(architecture).to(dtype).train()
    x = tensor(f"input:{name}:{joined(shape)}", shape).to(dtype).requires_grad_()
    truth = (uniform(f"target:{name}:{joined(shape)}", math.prod(shape)) < TARGET_SHARE).reshape(shape)
    output = net(x)
    loss = raunet.dice_loss(output, torch.from_numpy(truth).to(dtype))
    loss.backward()
    gradients = {"input": x.grad, **{n: p.grad for n, p in net.named_parameters()}}
    buffers = dict(net.named_buffers())
    return {"loss": loss.item(), "output": output.detach(), "gradients": gradients, "buffers": buffers}


def feeds_a_norm(name):
    """Whether the tensor is the bias of a convolution whose output goes only to a batch norm."""
    return name.endswith((".conv1.bias", ".conv2.bias", ".conv.bias"))


def silent_errors(name, architecture, shape):
    """How far typical misreadings of the network move its output, and the values that the goldens sample of it."""
    x = tensor(f"input:{name}:{joined(shape)}", shape).double()

    def output(change=lambda net: None):
        net = filled(architecture).double().eval()
        with torch.no_grad():
            change(net)
            return net(x)

    right = output()
    changes = {**WRONG_WEIGHTS, **(WRONG_WEIGHTS_3D if architecture[0] == 3 else {})}
    wrong = {error: output(change) for error, change in changes.items()}
    for error, patch in WRONG_STRUCTURE.items():
        with mock.patch.object(*patch):
            wrong[error] = output()
    moves = {}
    for error, found in wrong.items():
        moved = (found - right).abs().flatten()
        moves[error] = {"all": short(moved.max()), "sampled": short(moved[:: stride(moved.numel(), 200)].max())}
        print(f"{name} {joined(shape)}: {error}: {moves[error]}")
        assert moves[error]["sampled"] > 1e-3, error
    return {**described(name, architecture, shape), "largest_change_of_the_output": moves}


def swap_a_and_b(net):
    for mask in masks(net):
        mask.a, mask.b = mask.b, mask.a


def swap_skip_and_down(net):
    """The kept block and the block after the pool were created one after the other: easily confused."""
    for mask in masks(net):
        for s in range(1, mask.depth):
            skip, down = mask.get_submodule(f"skip{s}"), mask.get_submodule(f"down{s + 1}")
            setattr(mask, f"skip{s}", down)
            setattr(mask, f"down{s + 1}", skip)


def swap_kernel_axes(first, second):
    def change(net):
        for weight in kernels(net):
            weight.copy_(weight.transpose(first, second).clone())
    return change


def flip_kernels(net):
    for weight in kernels(net):
        weight.copy_(weight.flip(list(range(2, weight.dim()))))


def set_epsilon(net):
    for module in net.modules():
        if isinstance(module, raunet.BatchNorm):
            module.epsilon = 1e-5


def masks(net):
    return [m for m in net.modules() if isinstance(m, raunet.Mask)]


def kernels(net):
    return [m.weight for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Conv3d)) and m.kernel_size[0] == 3]


def attention_with_mask_from_the_trunk(self, x):
    trunk = self.trunk2(self.trunk1(self.first(x)))
    return self.last((1 + self.mask(trunk)) * trunk)


def attention_without_one_plus(self, x):
    x = self.first(x)
    return self.last(self.mask(x) * self.trunk2(self.trunk1(x)))


def mask_that_pools_the_kept_block(self, x):
    m = self.down1(raunet.pool(x))
    skips = []
    for s in range(1, self.depth):
        skips.append(self.get_submodule(f"skip{s}")(m))
        m = self.get_submodule(f"down{s + 1}")(raunet.pool(skips[-1]))
    for s in range(1, self.depth):
        m = raunet.upsample(self.get_submodule(f"up{s}")(m)) + skips.pop()
    return torch.sigmoid(self.b(self.a(raunet.upsample(self.last(m)))))


def block_with_activated_shortcut(self, x):
    x = F.relu(self.norm1(x))
    y = self.conv2(F.relu(self.norm2(self.conv1(x))))
    return self.conv3(F.relu(self.norm3(y))) + self.shortcut(x)


def linear_upsample(x):
    return F.interpolate(x, scale_factor=2, mode={4: "bilinear", 5: "trilinear"}[x.dim()], align_corners=False)


WRONG_WEIGHTS = {
    "A and B swapped": swap_a_and_b,
    "skip block and pooled block swapped": swap_skip_and_down,
    "kernel height and width swapped": swap_kernel_axes(-1, -2),
    "kernels flipped": flip_kernels,
    "epsilon 1e-5": set_epsilon,
}
WRONG_WEIGHTS_3D = {
    "kernel depth and height swapped": swap_kernel_axes(-2, -3),
    "kernel depth and width swapped": swap_kernel_axes(-1, -3),
}
WRONG_STRUCTURE = {
    "mask taken from the trunk": (raunet.Attention, "forward", attention_with_mask_from_the_trunk),
    "mask without 1 +": (raunet.Attention, "forward", attention_without_one_plus),
    "pool of the kept block": (raunet.Mask, "forward", mask_that_pools_the_kept_block),
    "shortcut of the activated input": (raunet.Block, "forward", block_with_activated_shortcut),
    "skip before the upsampled map": (raunet, "concat", lambda up, skip: torch.cat([skip, up], dim=1)),
    "linear upsampling": (raunet, "upsample", linear_upsample),
}


def tensor(name, shape):
    return torch.from_numpy(array(name, shape))


def filled(architecture):
    """The network with every weight and statistic made from its name."""
    net = raunet.RAUNet(*architecture)
    with torch.no_grad():
        for name, state in net.state_dict().items():
            state.copy_(torch.from_numpy(weight(name, state.shape)))
    return net


def generator():
    """The rule in words and, to check another implementation of it, the first values of some tensors."""
    net = filled((3, NARROW)).state_dict()
    checks = ["conv1.conv.weight", "res1.norm1.gamma", "res1.norm1.beta", "res1.norm1.mean", "res1.norm1.variance",
              "atten4.mask.a.bias", "res1.shortcut.weight", "res1.conv2.weight", "output.weight"]
    return {
        "script": "tests/oracles/raunet_goldens.py",
        "u": "splitmix64 finalizer of FNV-1a-64(name) + (n + 1)·0x9E3779B97F4A7C15, its top 53 bits · 2^-53; n from 0",
        "value": "lo + (hi - lo)·u in f64, rounded to f32",
        "ranges": {**RANGES, "input": (0.0, 1.0)},
        "weight_limit": "sqrt(3·gain / fan_in), fan_in = inputs · kernel volume; range [-limit, limit)",
        "gains": "the first whose end the name has",
        "gain": [{"name_ends_with": end, "gain": value} for end, value in GAINS],
        "target": f"1 if u < {TARGET_SHARE} else 0",
        "first_values_in_a_narrow_3d_net": {n: [digits(v) for v in net[n].flatten()[:4]] for n in checks},
    }


def described(name, architecture, shape):
    dims, widths = architecture
    return {"net": name, "dims": dims, "widths": widths, "shape": shape, "input": f"input:{name}:{joined(shape)}"}


def joined(shape):
    return "x".join(map(str, shape))


def check_spread(name, shape, output):
    low, high, spread = output.min().item(), output.max().item(), output.std().item()
    print(f"{name} {joined(shape)}: output {low:.4f}..{high:.4f}, standard deviation {spread:.3f}")
    assert low < 0.2 and high > 0.8 and spread > 0.1


def statistics(values):
    return {"sum": digits(values.sum()), "mean": digits(values.mean()), "min": digits(values.min()),
            "max": digits(values.max()), "std": short(values.std())}


def sample(values, count):
    """Every `stride`-th value in C order, from the first: about `count` of them."""
    step_by = stride(values.numel(), count)
    return {"stride": step_by, "values": [digits(v) for v in values.flatten()[::step_by]]}


def stride(total, count):
    """At least total/count, and odd so that the samples wander over every axis."""
    return 1 if total <= count else -(-total // count) | 1


def norm(values):
    return values.double().norm().item()


def digits(value, count=9):
    return float(f"{float(value):.{count}g}")


def short(value):
    return digits(value, 3)


def write(name, content):
    path = FOLDER / name
    path.write_text(to_json(content) + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size / 1000:.1f} kB")


def to_json(content, indent=0):
    """JSON with one line for whatever fits in one or is a list of plain values."""
    line = json.dumps(content, ensure_ascii=False)
    plain = isinstance(content, (list, tuple)) and not any(isinstance(item, (dict, list, tuple)) for item in content)
    if plain or len(line) + indent <= 120 or not isinstance(content, (dict, list, tuple)):
        return line
    pad = " " * (indent + 1)
    if isinstance(content, dict):
        items = [f"{pad}{json.dumps(key, ensure_ascii=False)}: {to_json(value, indent + 1)}"
                 for key, value in content.items()]
        return "{\n" + ",\n".join(items) + "\n" + " " * indent + "}"
    return "[\n" + ",\n".join(pad + to_json(item, indent + 1) for item in content) + "\n" + " " * indent + "]"


if __name__ == "__main__":
    main()
