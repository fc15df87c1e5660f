"""PyTorch on a GPU: eager, as a CUDA graph of its own, and compiled with mode="reduce-overhead"; data on the device."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as f

from benchmarks.gpu.record import Record, section
from benchmarks.gpu.specs import CNN, GPT, LETTERS, MLP, Spec, data, specs

EAGER, GRAPH, COMPILED = "PyTorch, eager", "PyTorch, CUDA graph", "PyTorch, compiled (reduce-overhead)"


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Any) -> Any:
        width = x.shape[2]
        q, k, v = (a.view(*x.shape[:2], self.heads, -1).transpose(1, 2) for a in self.qkv(x).split(width, dim=2))
        return self.out(f.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(x.shape))


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        x = x + self.attention(self.norm1(x))
        return x + self.fc2(f.gelu(self.fc1(self.norm2(x))))


class Letters(nn.Module):
    def __init__(self, layers: int, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(LETTERS, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        for table in (self.token, self.position):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, ids: Any) -> Any:
        x = self.token(ids) + self.position.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        return f.linear(self.norm(x), self.token.weight)


def model_of(spec: Spec) -> nn.Module:
    if spec.kind == GPT:
        return Letters(*spec.sizes)
    if spec.kind == CNN:
        first, second, hidden = spec.sizes
        return nn.Sequential(
            nn.Conv2d(1, first, 3), nn.ReLU(), nn.Conv2d(first, second, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(second * 144, hidden), nn.ReLU(), nn.Linear(hidden, 10),
        )  # fmt: skip
    layers: list[nn.Module] = [nn.Flatten()]
    for inner, outer in zip((784, *spec.sizes), spec.sizes, strict=False):
        layers += [nn.Linear(inner, outer), nn.ReLU() if spec.relu else nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(spec.sizes[-1], 10))


def loss_of(spec: Spec, model: Any, x: Any, t: Any) -> Any:
    if spec.kind == GPT:
        return f.cross_entropy(model(x).view(-1, LETTERS), t.view(-1))
    return f.cross_entropy(model(x.float() / 255), t)


class Training:
    """A model with its data on the device; a step gathers its batch there."""

    def __init__(self, spec: Spec, device: str, *, capturable: bool) -> None:
        torch.manual_seed(0)
        self.spec, self.device = spec, device
        self.x, self.t = (torch.from_numpy(a).to(device) for a in data(spec))
        self.model = model_of(spec).to(device)
        params = self.model.parameters()
        adam = torch.optim.AdamW if spec.kind == GPT else torch.optim.Adam
        fused = {"fused": True} if device == "cuda" else {}
        more = {"capturable": True} if capturable else {}
        self.optimizer = (
            adam(params, spec.lr, **fused, **more) if spec.adam else torch.optim.SGD(params, spec.lr, **fused)
        )
        self.total = torch.zeros((), device=device)
        self.forward: Callable[..., Any] = lambda x, t: loss_of(spec, self.model, x, t)

    def step(self, rows: Any) -> None:
        loss = self.forward(self.x[rows], self.t[rows])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.total += loss.detach()

    def epoch(self, step: Callable[[Any], None]) -> float:
        """All batches in a new order; returns the mean loss, read once."""
        order = torch.randperm(len(self.x), device=self.device)
        self.total.zero_()
        for i in range(self.spec.steps):
            step(order[i * self.spec.batch : (i + 1) * self.spec.batch])
        return self.total.item() / self.spec.steps


def captured(training: Training) -> Callable[[Any], None]:
    """A step as a CUDA graph, with its rows copied to where the graph reads them."""
    rows = torch.arange(training.spec.batch, device="cuda")
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            training.step(rows)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    training.optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        training.step(rows)

    def replay(given: Any) -> None:
        rows.copy_(given)
        graph.replay()

    return replay


def round_nothing() -> None:
    """Have products and convolutions computed in float32, like those of the others: by default convolutions are not."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


def run(record: Record, spec: Spec, way: str, device: str) -> None:
    training = Training(spec, device, capturable=way == GRAPH)
    step = captured(training) if way == GRAPH else training.step
    if way == COMPILED:
        torch.compiler.reset()  # one function serves all workloads, and is compiled a few times only
        training.forward = torch.compile(training.forward, mode="reduce-overhead")
    times, loss = [], 0.0
    for _ in range(spec.epochs + 2):
        start = time.perf_counter()
        loss = training.epoch(step)
        times.append(time.perf_counter() - start)
    record.add("training", workload=spec.name, contestant=way, seconds=times[2:], steps=spec.steps, loss=loss)


def main() -> None:
    with section() as record:
        device = "cpu" if record.fake else "cuda"
        record.add("version", package="PyTorch", version=torch.__version__)
        round_nothing()
        for way in (EAGER, GRAPH, COMPILED):
            compiled = way == COMPILED  # which takes long: first what has a target
            for spec in sorted(specs(record.fake), key=lambda spec: compiled and spec.kind == MLP):
                if record.fake and way != EAGER:
                    record.add("skipped", what=f"{spec.name}, {way}", why="it takes a GPU")
                else:
                    record.attempt(f"{spec.name}, {way}", lambda s=spec, w=way: run(record, s, w, device))


if __name__ == "__main__":
    main()
