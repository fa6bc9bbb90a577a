"""Tables and plots: what a model is, what a run reached, how it compares."""
