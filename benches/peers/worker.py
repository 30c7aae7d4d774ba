"""One engine on one case: prints JSON with the median seconds of a run.

    worker.py ENGINE forward|step NET.onnx SHAPE INPUT.npy OUTPUT.npy THREADS
"""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
RUNS = 5


def main():
    engine, kind, net, shape, source, target, threads = sys.argv[1:]
    shape = tuple(map(int, shape.split("x")))
    if kind == "step":
        print(json.dumps(training(engine, shape, int(threads))))
        return
    x = np.load(source)
    assert x.shape == shape
    forward = {"openvino": openvino, "onnxruntime": onnxruntime}.get(engine, torch_forward)(
        net, x, int(threads), engine.endswith("channels-last")
    )
    np.save(target, forward())
    print(json.dumps({"seconds": timed(forward)}))


def timed(forward):
    forward()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        forward()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def openvino(net, x, threads, _):
    import openvino

    core = openvino.Core()
    model = core.read_model(net)
    model.reshape(list(x.shape))
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(model, "CPU", options)
    return lambda: compiled([x])[0]


def onnxruntime(net, x, threads, _):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(net, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: x})[0]


def torch_network(shape, threads, channels_last):
    import torch

    sys.path.insert(0, str(ROOT / "tests" / "oracles"))
    from raunet_goldens import filled
    from raunet_torch import RAUNET_I, RAUNET_II

    torch.set_num_threads(threads)
    net = filled(RAUNET_I if len(shape) == 4 else RAUNET_II)
    with_fused_normalisations(torch, net, len(shape) - 2)
    layout = torch.channels_last_3d if len(shape) == 5 else torch.channels_last
    if channels_last:
        net = net.to(memory_format=layout)
    return torch, net, layout


def with_fused_normalisations(torch, net, dims):
    """Puts PyTorch's own batch normalisation, its fastest, in the place of the one that is spelled out."""
    kind = {2: torch.nn.BatchNorm2d, 3: torch.nn.BatchNorm3d}[dims]
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if type(child).__name__ == "BatchNorm":
                norm = kind(len(child.gamma), eps=child.epsilon, momentum=0.01)
                norm.weight.data, norm.bias.data = child.gamma.data, child.beta.data
                norm.running_mean, norm.running_var = child.mean, child.variance
                setattr(parent, name, norm)


def torch_forward(_, x, threads, channels_last):
    torch, net, layout = torch_network(x.shape, threads, channels_last)
    x = torch.from_numpy(x)
    x = x.contiguous(memory_format=layout) if channels_last else x
    net.eval()

    def forward():
        with torch.inference_mode():
            return net(x).contiguous().numpy()

    return forward


def training(engine, shape, threads):
    torch, net, layout = torch_network(shape, threads, engine.endswith("channels-last"))
    from raunet_torch import dice_loss

    net.train()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    times, finite = [], True
    for _ in range(4):
        x = torch.rand(shape)
        truth = (x > 0.7).float()
        x = x.contiguous(memory_format=layout) if engine.endswith("channels-last") else x
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = dice_loss(net(x), truth)
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
        finite &= all(bool(p.grad.isfinite().all()) for p in net.parameters() if p.grad is not None)
    return {"seconds": statistics.median(times[1:]), "finite": finite}


if __name__ == "__main__":
    main()
