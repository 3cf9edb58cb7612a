"""A-CLIP for pgsclip: "Attentive Mask CLIP", ICCV 2023, arXiv 2212.08653."""
