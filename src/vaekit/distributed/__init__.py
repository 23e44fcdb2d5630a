"""Distributed training: torch.distributed context, devices, RNG streams."""
