"""Feature networks by name: ``NETWORK[:TAP]``."""

from genmed_jax.networks.base import DTYPES, FeatureNetwork, Upstream
from genmed_jax.networks.registry import load, NETWORKS, parse

__all__ = ['DTYPES', 'FeatureNetwork', 'load', 'NETWORKS', 'parse', 'Upstream']
