"""A private classifier on embeddings: handwritten digits, and what epsilon costs in accuracy.

Embeddings are vectors of length one whose similarity means something; here an image's pixels, scaled. The
classifier keeps one noisy sum for each class, so a prediction costs no privacy, however many are made.
"""

import numpy as np
from _pictures import Axis, Gallery, Series
from sklearn.datasets import load_digits

import dpkit

picture = Gallery(__file__, __doc__)
images, labels = load_digits(return_X_y=True)
embeddings = images / np.linalg.norm(images, axis=1, keepdims=True)
order = np.random.default_rng(0).permutation(len(labels))
train, test = order[:1437], order[1437:]

print("epsilon   held-out accuracy of three fits   delta = 1e-5, 1,437 private records, 10 classes")
budgets, found = (0.1, 0.3, 1.0, 3.0, 10.0), []
for epsilon in budgets:
    scores = []
    for _ in range(3):
        model = dpkit.SimilarityClassifier(epsilon=epsilon, delta=1e-5, classes=range(10))
        model.fit(embeddings[train], labels[train])
        scores.append(model.score(embeddings[test], labels[test]))
    found.append(scores)
    print(f"{epsilon:7.1f}   " + "  ".join(f"{score:.1%}" for score in scores))

centres = np.stack([embeddings[train][labels[train] == k].mean(axis=0) for k in range(10)])
nearest = ((embeddings[test][:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
print(f" no privacy   {np.mean(nearest == labels[test]):.1%}   the same rule with exact sums")
fits = [(e, score) for e, scores in zip(budgets, found, strict=True) for score in scores]
drawn = [
    Series("mean of three fits", budgets, np.mean(found, axis=1)),
    Series("each fit", *zip(*fits, strict=True), kind="points"),
    Series("no privacy", budgets, [np.mean(nearest == labels[test])] * len(budgets), kind="bound"),
]
picture.lines("Digits, held-out accuracy", drawn, Axis("ε", log=10), Axis("accuracy", percent=True))

sure = model.predict_proba(embeddings[test[:1]])[0]
print(f"\nthe first held-out image is a {labels[test[0]]}; at epsilon = 10 the model says {sure.argmax()}")
