"""Every differentiable primitive, once: a forward on arrays and one rule per argument."""
