"""Networks: tensors to tensors, the trunks of posteriors, likelihoods and conditional priors.

A network maps ``(*leading, *in_shape)`` to features ``(*leading, *feature_shape)`` for any number of
leading axes, and makes heads for whoever needs parameters of a distribution:

    features = network(x, condition)         # condition: None or (*leading, condition_dim)
    parameters = network.head(out_shape)(features)   # (*leading, *out_shape)

A condition is added to the first layer before its non-linearity, which is the same as
concatenating it to the input but computes each part once when their leading axes differ.
"""

from vaekit.networks.codebook import GradientCodebook, MovingAverageCodebook
from vaekit.networks.convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from vaekit.networks.deep_latent import DeepLatent
from vaekit.networks.dense_ladder import DenseBottomUp, DenseRung
from vaekit.networks.gated_convolutional import GatedConvolutionalDecoder, GatedConvolutionalEncoder
from vaekit.networks.grid_ladder import GridBottomUp, GridRung
from vaekit.networks.ladder import Ladder
from vaekit.networks.mlp import MLP, Affine, GatedMLP, ResidualMLP
from vaekit.networks.network import Network
from vaekit.networks.plain import PlainNetwork, as_network
from vaekit.networks.wrappers import Concatenate, LogInput, OnlyCondition, OnlyLatent

__all__ = [
    "MLP",
    "Affine",
    "Concatenate",
    "ConvolutionalDecoder",
    "ConvolutionalEncoder",
    "DeepLatent",
    "DenseBottomUp",
    "DenseRung",
    "GatedConvolutionalDecoder",
    "GatedConvolutionalEncoder",
    "GatedMLP",
    "GradientCodebook",
    "GridBottomUp",
    "GridRung",
    "Ladder",
    "LogInput",
    "MovingAverageCodebook",
    "Network",
    "OnlyCondition",
    "OnlyLatent",
    "PlainNetwork",
    "ResidualMLP",
    "as_network",
]
