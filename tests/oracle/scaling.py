"""Golden numbers of the scaling fits (evaluator/bench/src/stats/{fit,scaling}.rs) by NumPy and SciPy.

    python3 -m venv venv && venv/bin/pip install numpy scipy && venv/bin/python tests/oracle/scaling.py
"""

import random

import numpy as np
from scipy.optimize import least_squares


def logarithm(tokens, scores):
    b, a = np.polyfit(np.log(tokens), scores, 1)
    return a, b


def power(tokens, losses):
    """e + a * (x / unit) ** -alpha from many starts, the best one; e and a are held at 0 or above."""
    unit = np.exp(np.mean(np.log(tokens)))
    x, y = np.asarray(tokens) / unit, np.asarray(losses)
    best = None
    for alpha in [0.05, 0.1, 0.2, 0.4, 0.8, 1.6]:
        for e in [0.0, 0.5 * y.min(), 0.9 * y.min()]:
            fit = least_squares(
                lambda p: p[0] + p[1] * x ** -p[2] - y, [e, y.mean() - e, alpha],
                bounds=([0, 0, 0.01], [np.inf, np.inf, 3]), xtol=1e-15, ftol=1e-15, gtol=1e-15)
            if best is None or fit.cost < best.cost:
                best = fit
    e, a, alpha = best.x
    return e, a * unit ** alpha, alpha


def right(checkpoint, task, item):
    return 1.0 if (item * 37 + task * 11) % 100 < 20 + checkpoint * 9 + task * 5 else 0.0


def scores():
    tokens = [20e9 * (c + 1) for c in range(5)]
    sizes = [60, 40]
    items = [[[right(c, t, i) for i in range(n)] for t, n in enumerate(sizes)] for c in range(5)]
    mean = lambda c, draws: sum(
        sum(items[c][t][i] for i in drawn) / len(drawn) for t, drawn in enumerate(draws)) / len(sizes)
    everything = [list(range(n)) for n in sizes]
    a, b = logarithm(tokens[:4], [mean(c, everything) for c in range(4)])
    drawn = random.Random(0)
    at = {120e9: [], 100e9: []}
    for _ in range(1000):
        draws = [drawn.choices(range(n), k=n) for n in sizes]
        fit = logarithm(tokens[:4], [mean(c, draws) for c in range(4)])
        for x, values in at.items():
            values.append(fit[0] + fit[1] * np.log(x))
    print("score parameters", repr(float(a)), repr(float(b)))
    for x, values in at.items():
        low, high = np.percentile(values, [2.5, 97.5])
        print("score at", x, [float(v) for v in (a + b * np.log(x), low, high)])


points = [(20e9, 0.41), (40e9, 0.447), (60e9, 0.455), (80e9, 0.472)]
print("logarithm", [float(v) for v in logarithm(*zip(*points))])
scores()
losses = [2.91, 2.64, 2.463, 2.322, 2.23, 2.151, 2.1]
tokens = [1e9 * 2.0 ** i for i in range(7)]
e, a, alpha = power(tokens[:6], losses[:6])
print("loss parameters", [float(v) for v in (e, a, alpha)], "at 256e9", float(e + a * 256e9 ** -alpha))
