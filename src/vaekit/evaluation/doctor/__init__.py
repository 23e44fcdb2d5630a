"""Diagnosis of a training or a trained model: findings with the figure that shows each and the usual cure."""

from vaekit.evaluation.doctor.examine import CHECKS, Patient, TrainingMonitor, examine, patient_of
from vaekit.evaluation.doctor.finding import Finding

__all__ = ["CHECKS", "TrainingMonitor", "Finding", "Patient", "examine", "patient_of"]
