"""RA-UNet-I (2D) and RA-UNet-II (3D) in PyTorch: the oracle for hepar's own networks.

Written from the description of the network (Jin et al., "RA-UNet: a hybrid deep attention-aware network to extract
liver and tumor in CT scans", arXiv 1811.01328) and not from hepar's Rust code, so that the two can disagree.
`python raunet_torch.py` checks the parameter counts. Tensors are [N, C, (D,) H, W]; the names in `state_dict()` are
those of hepar's weights.
"""

import torch
from torch import nn
from torch.nn import functional as F

RAUNET_I = (2, (16, 16, 32, 64, 128, 256))
RAUNET_II = (3, (32, 32, 64, 128, 256, 512))
EPSILON = 1e-3
MOMENTUM = 0.99


class RAUNet(nn.Module):
    """One channel in, a probability per voxel out; every side must be a multiple of 32."""

    def __init__(self, dims, widths):
        super().__init__()
        w0, w1, w2, w3, w4, w5 = widths
        self.conv1 = ConvNorm(dims, 1, w0)
        self.res1 = Block(dims, w0, w1)
        self.res2 = Block(dims, w1, w2)
        self.res3 = Block(dims, w2, w3)
        self.res4 = Block(dims, w3, w4)
        self.res5a = Block(dims, w4, w5)
        self.res5b = Block(dims, w5, w5)
        self.atten1 = Attention(dims, w4, depth=1)
        self.up1 = Block(dims, w5 + w4, w4)
        self.atten2 = Attention(dims, w3, depth=2)
        self.up2 = Block(dims, w4 + w3, w3)
        self.atten3 = Attention(dims, w2, depth=3)
        self.up3 = Block(dims, w3 + w2, w2)
        self.atten4 = Attention(dims, w1, depth=4)
        self.up4 = Block(dims, w2 + w1, w1)
        self.conv9 = ConvNorm(dims, w1 + w0, w0)
        self.output = conv(dims, w0, 1, kernel=3)

    def forward(self, x):
        conv1 = self.conv1(x)
        res1 = self.res1(pool(conv1))
        res2 = self.res2(pool(res1))
        res3 = self.res3(pool(res2))
        res4 = self.res4(pool(res3))
        res5 = self.res5b(self.res5a(pool(res4)))
        up1 = self.up1(concat(upsample(res5), self.atten1(res4)))
        up2 = self.up2(concat(upsample(up1), self.atten2(res3)))
        up3 = self.up3(concat(upsample(up2), self.atten3(res2)))
        up4 = self.up4(concat(upsample(up3), self.atten4(res1)))
        conv9 = self.conv9(concat(upsample(up4), conv1))
        return torch.sigmoid(self.output(conv9))


class ConvNorm(nn.Module):
    """3³ convolution, batch norm, ReLU."""

    def __init__(self, dims, inputs, outputs):
        super().__init__()
        self.conv = conv(dims, inputs, outputs, kernel=3)
        self.norm = BatchNorm(outputs)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))


class Block(nn.Module):
    """Residual block with pre-activation; the shortcut is a convolution of the raw input, always."""

    def __init__(self, dims, inputs, outputs):
        super().__init__()
        narrow = outputs // 4
        self.norm1 = BatchNorm(inputs)
        self.conv1 = conv(dims, inputs, narrow, kernel=1)
        self.norm2 = BatchNorm(narrow)
        self.conv2 = conv(dims, narrow, narrow, kernel=3)
        self.norm3 = BatchNorm(narrow)
        self.conv3 = conv(dims, narrow, outputs, kernel=1)
        self.shortcut = conv(dims, inputs, outputs, kernel=1)

    def forward(self, x):
        y = self.conv1(F.relu(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        y = self.conv3(F.relu(self.norm3(y)))
        return y + self.shortcut(x)


class Attention(nn.Module):
    """Attention residual module: trunk and soft mask both start from the first block's output."""

    def __init__(self, dims, channels, depth):
        super().__init__()
        self.first = Block(dims, channels, channels)
        self.trunk1 = Block(dims, channels, channels)
        self.trunk2 = Block(dims, channels, channels)
        self.mask = Mask(dims, channels, depth)
        self.last = Block(dims, channels, channels)

    def forward(self, x):
        x = self.first(x)
        trunk = self.trunk2(self.trunk1(x))
        return self.last((1 + self.mask(x)) * trunk)


class Mask(nn.Module):
    """Soft mask in 0..1: `depth` poolings down and as many upsamplings back, skips added on the way."""

    def __init__(self, dims, channels, depth):
        super().__init__()
        self.depth = depth
        self.down1 = Block(dims, channels, channels)
        for s in range(1, depth):
            self.add_module(f"skip{s}", Block(dims, channels, channels))
            self.add_module(f"down{s + 1}", Block(dims, channels, channels))
        for s in range(1, depth):
            self.add_module(f"up{s}", Block(dims, channels, channels))
        self.last = Block(dims, channels, channels)
        self.a = conv(dims, channels, channels, kernel=1)
        self.b = conv(dims, channels, channels, kernel=1)

    def forward(self, x):
        m = self.down1(pool(x))
        skips = []
        for s in range(1, self.depth):
            skips.append(self.get_submodule(f"skip{s}")(m))
            m = self.get_submodule(f"down{s + 1}")(pool(m))
        for s in range(1, self.depth):
            m = upsample(self.get_submodule(f"up{s}")(m)) + skips.pop()
        m = upsample(self.last(m))
        return torch.sigmoid(self.b(self.a(m)))


class BatchNorm(nn.Module):
    """Batch norm over all axes but the channels, with the running statistics of Keras 2."""

    def __init__(self, channels):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))
        self.epsilon = EPSILON

    def forward(self, x):
        mean, variance = self.batch_statistics(x) if self.training else (self.mean, self.variance)
        per_channel = (1, -1) + (1,) * (x.dim() - 2)
        scale = self.gamma / torch.sqrt(variance + self.epsilon)
        return (x - mean.view(per_channel)) * scale.view(per_channel) + self.beta.view(per_channel)

    def batch_statistics(self, x):
        """Mean and biased variance of the batch; moves the running statistics towards them."""
        axes = [0, *range(2, x.dim())]
        count = x.numel() // x.shape[1]
        mean, variance = x.mean(axes), x.var(axes, unbiased=False)
        with torch.no_grad():
            self.mean.mul_(MOMENTUM).add_((1 - MOMENTUM) * mean)
            self.variance.mul_(MOMENTUM).add_((1 - MOMENTUM) * variance * (count / (count - 1.001)))
        return mean, variance


def conv(dims, inputs, outputs, kernel):
    """Convolution with a bias and zero padding that keeps the size."""
    return {2: nn.Conv2d, 3: nn.Conv3d}[dims](inputs, outputs, kernel, padding=kernel // 2)


def pool(x):
    return {4: F.max_pool2d, 5: F.max_pool3d}[x.dim()](x, kernel_size=2, stride=2)


def upsample(x):
    return F.interpolate(x, scale_factor=2, mode="nearest")


def concat(upsampled, skip):
    return torch.cat([upsampled, skip], dim=1)


def dice_loss(probabilities, truth):
    """1 − (2·Σpg + 1)/(Σp + Σg + 1), the sums over the whole batch."""
    overlap = (probabilities * truth).sum()
    return 1 - (2 * overlap + 1) / (probabilities.sum() + truth.sum() + 1)


def parameters(module, trainable_only=False):
    """Number of values in the module, batch-norm statistics included unless `trainable_only`."""
    buffers = [] if trainable_only else module.buffers()
    return sum(t.numel() for t in [*module.parameters(), *buffers])


# Parameters with the statistics, as the table of RA-UNet-II has them.
RAUNET_II_ROWS = {
    "conv1": 1_024,
    "res1": 3_536,
    "res2": 10_912,
    "res3": 42_816,
    "res4": 169_600,
    "res5a, res5b": 1_515_008,
    "atten1": 1_398_016,
    "up1": 376_960,
    "atten2": 512_832,
    "up2": 95_296,
    "atten3": 171_520,
    "up3": 24_352,
    "atten4": 55_152,
    "up4": 6_352,
    "conv9": 55_456,
    "output": 865,
}


def check_counts():
    """Asserts the published parameter counts, and 219 convolutions and 52 residual blocks in both nets."""
    for architecture, total, trainable in [(RAUNET_I, 747_321, 737_897), (RAUNET_II, 4_439_697, 4_420_849)]:
        net = RAUNet(*architecture)
        assert parameters(net) == total, parameters(net)
        assert parameters(net, trainable_only=True) == trainable, parameters(net, trainable_only=True)
        assert sum(isinstance(m, (nn.Conv2d, nn.Conv3d)) for m in net.modules()) == 219
        assert sum(isinstance(m, BatchNorm) for m in net.modules()) == 158
        assert sum(isinstance(m, Block) for m in net.modules()) == 52
    for row, expected in RAUNET_II_ROWS.items():
        found = sum(parameters(net.get_submodule(part)) for part in row.split(", "))
        assert found == expected, (row, found, expected)


if __name__ == "__main__":
    check_counts()
    print("parameter counts: RA-UNet-I 747,321, RA-UNet-II 4,439,697 and each of its rows: as published")
