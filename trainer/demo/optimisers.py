"""Optimisers of the demo training: Muon for weight matrices, AdamW for everything else.

Muon replaces the gradient of a matrix by the nearest (semi-)orthogonal matrix, found with a few
Newton-Schulz iterations (Jordan et al. 2024, "Muon: an optimizer for hidden layers"); the update is
scaled to the usual size of an AdamW update (Liu et al. 2025, "Muon is scalable for LLM training",
eq. 4), so that both share one learning rate. Convolution kernels count as out x (in * h * w) matrices.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration, from the Muon reference implementation's paper."""


def orthogonalised(matrices_NRC: Tensor, iterations: int = 5) -> Tensor:
    """Return a stack of matrices with singular values moved close to 1 (R <= C works fastest)."""
    a, b, c = NEWTON_SCHULZ
    x: Tensor = matrices_NRC / (matrices_NRC.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


class Muon:
    """Momentum with orthogonalised updates; matrices of one shape are worked on as one stack."""

    def __init__(self, params: Iterable[nn.Parameter], momentum: float = 0.95, weight_decay: float = 1e-3) -> None:
        self.momentum, self.weight_decay = momentum, weight_decay
        self.shapes: dict[tuple[int, int], list[nn.Parameter]] = defaultdict(list)
        for param in params:
            rows, columns = param.shape[0], param[0].numel()
            self.shapes[min(rows, columns), max(rows, columns)].append(param)
        self.momenta = {shape: torch.zeros(len(group), *shape) for shape, group in self.shapes.items()}

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Take one step from the gradients that the parameters hold."""
        updates = self._orthogonal_updates()
        for (shape, params), updates_NRC in zip(self.shapes.items(), updates, strict=True):
            scale = lr * 0.2 * shape[1] ** 0.5
            for param, update_RC in zip(params, updates_NRC, strict=True):
                wide = param[0].numel() >= param.shape[0]
                update = (update_RC if wide else update_RC.mT).reshape(param.shape)
                param.mul_(1 - lr * self.weight_decay).sub_(update, alpha=scale)

    def _orthogonal_updates(self) -> list[Tensor]:
        """The stacks of updates; with several processes each works out its share and they are summed once."""
        stacks = []
        for shape, params in self.shapes.items():
            grads_NRC = torch.stack([_as_wide_matrix(param.grad) for param in params if param.grad is not None])
            momenta_NRC = self.momenta[shape].lerp_(grads_NRC, 1 - self.momentum)
            stacks.append(grads_NRC.lerp(momenta_NRC, self.momentum))
        if not dist.is_initialized():
            return [orthogonalised(stack_NRC) for stack_NRC in stacks]
        loads = [0.0] * dist.get_world_size()
        flat = torch.zeros(sum(stack_NRC.numel() for stack_NRC in stacks))
        results = [
            piece.view_as(stack_NRC)
            for piece, stack_NRC in zip(flat.split([s.numel() for s in stacks]), stacks, strict=True)
        ]
        for stack_NRC, result_NRC in zip(stacks, results, strict=True):
            owners = _share_out(stack_NRC, loads)
            mine = [index for index, owner in enumerate(owners) if owner == dist.get_rank()]
            if mine:
                result_NRC[mine] = orthogonalised(stack_NRC[mine])
        dist.all_reduce(flat)
        return results

    def state_dict(self) -> dict[str, Tensor]:
        """The momenta, by shape."""
        return {f"{rows}x{columns}": value for (rows, columns), value in self.momenta.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take the momenta back."""
        for rows, columns in self.momenta:
            self.momenta[rows, columns].copy_(state[f"{rows}x{columns}"])


class MatrixOptimiser:
    """Muon for the hidden matrices of some modules, AdamW for their other parameters."""

    def __init__(self, modules: list[nn.Module], lr: float, weight_decay: float = 1e-3) -> None:
        matrices, others = split_parameters(modules)
        self.lr = lr
        self.muon = Muon(matrices, weight_decay=weight_decay)
        self.adam = torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.99), weight_decay=weight_decay, foreach=True)

    def step(self, rate: float) -> None:
        """Take one step at `rate` times the learning rate."""
        for group in self.adam.param_groups:
            group["lr"] = self.lr * rate
        self.adam.step()
        self.muon.step(self.lr * rate)

    def state_dict(self) -> dict[str, object]:
        """State of both optimisers."""
        return {"muon": self.muon.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, dict[str, Tensor]]) -> None:
        """Take the state of both optimisers back."""
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])


def split_parameters(modules: list[nn.Module]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Hidden matrices and kernels on one side; embeddings, biases, norms and thin layers on the other."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for module in modules:
        embeddings = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
        for param in module.parameters():
            hidden = param.ndim >= 2 and min(param.shape[0], param[0].numel()) >= 16 and id(param) not in embeddings
            (matrices if hidden else others).append(param)
    return matrices, others


def _share_out(stack_NRC: Tensor, loads: list[float]) -> list[int]:
    """Name a process for each matrix of a stack, always the least loaded so far; adds to `loads`."""
    count, rows, columns = stack_NRC.shape
    owners = []
    for _ in range(count):
        owner = loads.index(min(loads))
        loads[owner] += float(rows * rows * columns)
        owners.append(owner)
    return owners


def _as_wide_matrix(grad: Tensor) -> Tensor:
    matrix_RC = grad.reshape(grad.shape[0], -1)
    return matrix_RC if matrix_RC.shape[0] <= matrix_RC.shape[1] else matrix_RC.mT
