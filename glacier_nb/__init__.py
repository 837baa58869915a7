"""Map glaciers and their change from cloud-optimised imagery with deep learning, in notebooks."""

import warnings

__version__ = "0.1.0"

# what fetches files asks for bars that are widgets, and complains in every notebook that has none: text will do
warnings.filterwarnings("ignore", "IProgress not found")
