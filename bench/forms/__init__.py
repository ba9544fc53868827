"""The model as other runtimes take it, and the engines that compute it."""
