"""Devices, precision and processes, decided in one place."""

from __future__ import annotations

import logging
import os

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from adaptgan.errors import ParamsError
from adaptgan.training.memory import keep_freed_memory


def pick_device(name: str) -> torch.device:
    """`auto` is the GPU when there is one.

    Raises:
        ParamsError: a GPU was asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ParamsError(f"training.device: {name} was asked for, and this torch finds no GPU. Use auto or cpu.")
    return torch.device(name)


def pick_precision(name: str, device: torch.device) -> str:
    """`auto` is bf16-mixed where the hardware computes in bf16 (a recent GPU, a CPU with AMX), else 32-true."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    return "bf16-mixed" if torch.cpu.get_capabilities().get("amx_bf16") else "32-true"


def make_fabric(device: torch.device, precision: str) -> Fabric:
    """A launched Fabric: one process, or all of torchrun's (gloo on CPU, NCCL on GPU)."""
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)  # its greetings are no news
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    if device.type == "cpu":
        keep_freed_memory()
    world_size = int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1
    if world_size == 1:
        devices = [device.index or 0] if device.type == "cuda" else 1
        fabric = Fabric(accelerator=device.type, devices=devices, precision=precision)  # type: ignore[arg-type]
    else:
        local = int(os.environ.get("LOCAL_WORLD_SIZE", world_size))
        strategy = DDPStrategy(
            process_group_backend="nccl" if device.type == "cuda" else "gloo", broadcast_buffers=False
        )
        fabric = Fabric(
            accelerator=device.type,
            devices=local,
            num_nodes=world_size // local,
            strategy=strategy,
            precision=precision,  # type: ignore[arg-type]
        )
    fabric.launch()
    return fabric
