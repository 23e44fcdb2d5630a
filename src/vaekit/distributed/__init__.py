"""Distributed training: torch.distributed context, microbatches, random-number streams."""
