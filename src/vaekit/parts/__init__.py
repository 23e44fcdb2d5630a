"""Parts: recorded constructor arguments, documents and their rebuilding, specifications on the command line."""
