"""Run folder: its files, the state to resume from, and the verbs of a trained model."""
