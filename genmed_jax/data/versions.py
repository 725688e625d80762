"""Versions of what is kept on disk, part of the keys it is found under.

Raise one when the code comes to give other numbers, so that what an earlier
version kept is not taken for them.
"""

PHANTOM = 'phantom-2'  # Images drawn by ``data.phantom``.
FEATURES = 'features-2'  # Decoding, preprocessing and networks.
PERTURBATIONS = 'perturbed-2'  # Operators and their draws.
SCORES = 'scores-4'  # Metrics of a study's conditions.
TRAINING = 'training-3'  # The course of a training.
