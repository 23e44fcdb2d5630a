"""Pictures: numpy arrays in, images out. Nothing here knows a model."""
