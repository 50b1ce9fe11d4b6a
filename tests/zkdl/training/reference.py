"""The relation in Python integers and nested lists, written from its text: slow, with nothing shared."""

from math import isqrt


def matmul(a, b):
    return [
        [sum(x * y for x, y in zip(row, column, strict=True)) for column in zip(*b, strict=True)] for row in a
    ]


def transpose(a):
    return [list(column) for column in zip(*a, strict=True)]


def divide(value, bits):
    """(q, r) with value + 2^(bits-1) = 2^bits q + r."""
    return divmod(value + 2 ** (bits - 1), 2**bits)


def step(weights, biases, x, y, s, mu):
    """One SGD step; returns (cells by name, new weights, new biases); raises OverflowError out of range."""
    f, g, w = s.activation_scale, s.gradient_scale, s.weight_scale
    half, half_g = 2 ** (s.activation_bits - 1), 2 ** (s.gradient_bits - 1)
    cells = {name: [] for name in ("positive", "sign", "remainder", "gradient", "gradient_remainder")}
    inputs, a = [], x
    layers = len(weights)
    for layer in range(layers):
        inputs.append(a)
        z = matmul(a, weights[layer])
        if biases:
            z = [[v + b * 2**f for v, b in zip(row, biases[layer], strict=True)] for row in z]
        parts = [[divide(v, w) for v in row] for row in z]
        rescaled = [[q for q, _ in row] for row in parts]
        if any(not -half <= v < half for row in rescaled for v in row):
            raise OverflowError
        sign = [[int(v < 0) for v in row] for row in rescaled]
        positive = [[v % half if v < 0 else v for v in row] for row in rescaled]
        cells["positive"].append(positive)
        cells["sign"].append(sign)
        cells["remainder"].append([[r for _, r in row] for row in parts])
        a = [[max(v, 0) for v in row] for row in rescaled]
    gradient = [
        [(v - t) * 2 ** (g - f) for v, t in zip(row, target, strict=True)]
        for row, target in zip(rescaled, y, strict=True)
    ]
    gradients = [gradient]
    for layer in reversed(range(layers - 1)):
        h = matmul(gradients[0], transpose(weights[layer + 1]))
        parts = [[divide(v, w) for v in row] for row in h]
        rounded = [[q for q, _ in row] for row in parts]
        if any(not -half_g <= v < half_g for row in rounded for v in row):
            raise OverflowError
        cells["gradient"].insert(0, rounded)
        cells["gradient_remainder"].insert(0, [[r for _, r in row] for row in parts])
        masked = [
            [0 if bit else v for v, bit in zip(row, bits, strict=True)]
            for row, bits in zip(rounded, cells["sign"][layer], strict=True)
        ]
        gradients.insert(0, masked)
    new_weights, new_biases = [], []
    for layer in range(layers):
        d = matmul(transpose(inputs[layer]), gradients[layer])
        new_weights.append(
            [
                [v - mu * c for v, c in zip(row, change, strict=True)]
                for row, change in zip(weights[layer], d, strict=True)
            ]
        )
        if biases:
            sums = [sum(column) for column in transpose(gradients[layer])]
            new_biases.append([b - mu * 2**f * c for b, c in zip(biases[layer], sums, strict=True)])
    return cells, new_weights, new_biases


def he_bound(fan_in, w):
    return isqrt(6 * 4**w // fan_in)
