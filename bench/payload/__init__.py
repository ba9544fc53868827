"""What requests carry: photos, or tensors that fit what a model takes."""
