"""Networks that images are measured in: uint8 images in, features and class probabilities out."""
