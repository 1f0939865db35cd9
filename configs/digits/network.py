"""A network of two dense layers, with all its parameters in one vector, so that one Allreduce averages a gradient."""

from itertools import pairwise
from pathlib import Path

import numpy as np


class Network:
    """Dense layers with ReLU between them and softmax at the end."""

    def __init__(self, sizes: list[int], seed: int) -> None:
        self.sizes = sizes
        random = np.random.default_rng(seed)
        pieces = []
        for inputs, outputs in pairwise(sizes):
            pieces.append(random.normal(0, np.sqrt(2 / inputs), inputs * outputs))
            pieces.append(np.zeros(outputs))
        self.parameters = np.concatenate(pieces)

    def layers(self, vector: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """`vector` cut into (weights, biases) a layer; views, so that writing to them writes to the vector."""
        found, start = [], 0
        for inputs, outputs in pairwise(self.sizes):
            middle, end = start + inputs * outputs, start + (inputs + 1) * outputs
            found.append((vector[start:middle].reshape(inputs, outputs), vector[middle:end]))
            start = end
        return found

    def activations(self, X: np.ndarray) -> list[np.ndarray]:
        """The input, each hidden layer's output, and the scores of the classes."""
        values = [X]
        layers = self.layers(self.parameters)
        for number, (weights, biases) in enumerate(layers):
            scores = values[-1] @ weights + biases
            values.append(scores if number == len(layers) - 1 else np.maximum(scores, 0))
        return values

    def loss_and_gradient(self, X: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean cross-entropy over the samples, and its gradient as one vector."""
        values = self.activations(X)
        scores = values[-1] - values[-1].max(axis=1, keepdims=True)
        log_probabilities = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        samples = np.arange(len(y))
        loss = -log_probabilities[samples, y].mean()

        gradient = np.zeros_like(self.parameters)
        error = np.exp(log_probabilities)
        error[samples, y] -= 1
        error /= len(y)
        for (weights, _), (weights_gradient, biases_gradient), inputs in zip(
            self.layers(self.parameters)[::-1], self.layers(gradient)[::-1], values[-2::-1], strict=True
        ):
            weights_gradient[:] = inputs.T @ error
            biases_gradient[:] = error.sum(axis=0)
            error = (error @ weights.T) * (inputs > 0)
        return float(loss), gradient

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The most likely class of each sample."""
        return self.activations(X)[-1].argmax(axis=1)

    def save(self, path: Path) -> None:
        """Writes sizes and parameters, as `numpy.load` reads them."""
        np.savez(path, sizes=self.sizes, parameters=self.parameters)


class Adam:
    """The Adam optimizer over one vector of parameters."""

    def __init__(self, count: int, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.mean, self.square = np.zeros(count), np.zeros(count)
        self.steps = 0

    def step(self, gradient: np.ndarray) -> np.ndarray:
        """What to add to the parameters."""
        self.steps += 1
        self.mean += 0.1 * (gradient - self.mean)
        self.square += 0.001 * (gradient**2 - self.square)
        mean, square = self.mean / (1 - 0.9**self.steps), self.square / (1 - 0.999**self.steps)
        return -self.learning_rate * mean / (np.sqrt(square) + 1e-8)
