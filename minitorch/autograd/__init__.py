"""The tape: primitives and their rules, the nodes they leave behind, the backward walk, gradient checks."""
