"""What can go wrong in training without being the user's slip."""


class TrainingError(RuntimeError):
    """One network cannot be trained on: what happened and where; the others go on."""
