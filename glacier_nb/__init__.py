"""Map glaciers and their change from cloud-optimised imagery with deep learning, in notebooks."""

__version__ = "0.1.0"
