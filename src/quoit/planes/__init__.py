"""What a plane is, once for all strata."""
