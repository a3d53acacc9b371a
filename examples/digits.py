"""Trains a classifier of real handwritten digits, written with Variables only.

1,797 scans of 8 x 8 pixels come with scikit-learn; a fixed fifth of them is kept for the test.
The network is 64 inputs, 256 rectified units, 10 scores. Every step moves the scans by up to
one pixel, so that a digit a little off centre is still known.

    python examples/digits.py            on the CPU
    python examples/digits.py --gpu      the same through WGSL
"""

import argparse
import math
import random
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import rgrad as torch
import rgrad.nn.functional as F
from rgrad.autograd import Variable

HIDDEN = 256
BATCH = 32
RATE = 0.2
MOMENTUM = 0.9
WANTED = 97.0


def split():
    """Training and test scans with their digits. The split never depends on --seed."""
    scans, digits = load_digits(return_X_y=True)
    scans = (scans / 16).astype(np.float32)
    order = list(range(len(scans)))
    random.Random(0).shuffle(order)
    test, train = order[:360], order[360:]
    return (scans[train], digits[train]), (scans[test], digits[test])


def moved(scans, rng):
    """Half of the scans as they are, half moved by up to one pixel in each direction."""
    count = len(scans)
    framed = np.pad(scans.reshape(count, 8, 8), ((0, 0), (1, 1), (1, 1)))
    stay = rng.random(count) < 0.5
    top = np.where(stay, 1, rng.integers(0, 3, count))[:, None, None]
    left = np.where(stay, 1, rng.integers(0, 3, count))[:, None, None]
    eight = np.arange(8)
    which = np.arange(count)[:, None, None]
    return framed[which, top + eight[:, None], left + eight].reshape(count, 64)


class Network:
    """Two layers of weights, and stochastic gradient descent with momentum by hand."""

    def __init__(self, place):
        self.place = place
        first = torch.randn(64, HIDDEN) * math.sqrt(2 / 64)
        second = torch.randn(HIDDEN, 10) * math.sqrt(1 / HIDDEN)
        start = [first, torch.zeros(HIDDEN), second, torch.zeros(10)]
        self.weights = [Variable(place(w), requires_grad=True) for w in start]
        self.speeds = [place(torch.zeros(w.size())) for w in start]

    def inputs(self, array):
        return Variable(self.place(torch.from_numpy(np.ascontiguousarray(array))))

    def scores(self, x):
        """The logarithm of each digit's probability."""
        w1, b1, w2, b2 = self.weights
        hidden = F.relu(torch.addmm(b1, x, w1))
        return F.log_softmax(torch.addmm(b2, hidden, w2), dim=1)

    def step(self, scans, digits, rate):
        """One step downhill; gives the loss before it."""
        loss = F.nll_loss(self.scores(self.inputs(scans)), self.inputs(digits))
        loss.backward()
        for weight, speed in zip(self.weights, self.speeds, strict=True):
            speed.mul_(MOMENTUM).add_(weight.grad.data)
            weight.data.sub_(speed * rate)
            weight.grad.data.zero_()
        return loss.data

    def accuracy(self, scans, digits):
        """Per cent of the scans whose most probable digit is the right one."""
        _, guessed = self.scores(self.inputs(scans)).data.max(1)
        return 100 * float(np.mean(guessed.cpu().numpy() == digits))


def progress(done, total, text):
    """One line that is drawn over itself in a terminal, and printed once elsewhere."""
    if not sys.stdout.isatty() and done < total:
        return
    filled = 30 * done // total
    start, end = ("\r", "") if sys.stdout.isatty() else ("", "\n")
    print(f"{start}[{'#' * filled}{'.' * (30 - filled)}] {text}", end=end, flush=True)


def train(network, data, options):
    """The loss after each epoch, as a mean over its batches."""
    scans, digits = data
    rng = np.random.default_rng(options.seed)
    batches = math.ceil(len(scans) / BATCH)
    losses = []
    for epoch in range(options.epochs):
        order = rng.permutation(len(scans))
        shown, answers = moved(scans[order], rng), digits[order]
        total = None
        for i in range(batches):
            rate = RATE * (1 - (epoch * batches + i) / (options.epochs * batches))
            part = slice(i * BATCH, (i + 1) * BATCH)
            loss = network.step(shown[part], answers[part], rate)
            # Added up where it is: reading each loss would wait for the GPU at each step.
            total = loss if total is None else total + loss
        losses.append(total.cpu()[0] / batches)
        progress(epoch + 1, options.epochs, f"epoch {epoch + 1:2}, loss {losses[-1]:.4f}")
    if sys.stdout.isatty():
        print()
    return losses


def curve(losses, accuracy, path):
    """The loss of each epoch as a picture; as SVG where matplotlib is not installed."""
    title = f"handwritten digits: {accuracy:.1f} % of the test scans are read rightly"
    try:
        import matplotlib
    except ImportError:
        path = path.with_suffix(".svg")
        path.write_text(curve_svg(losses, title), encoding="utf-8")
        return path
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    axes.semilogy(range(1, len(losses) + 1), losses, marker=".")
    axes.set(title=title, xlabel="epoch", ylabel="training loss")
    axes.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=120)
    return path


def curve_svg(losses, title):
    """A plain line over a logarithmic scale."""
    logs = [math.log10(max(loss, 1e-9)) for loss in losses]
    low, high = min(logs), max(logs)
    wide, tall = 600 / max(1, len(logs) - 1), 240 / ((high - low) or 1)
    spots = [(50 + i * wide, 50 + (high - y) * tall) for i, y in enumerate(logs)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 340" font-family="sans-serif">'
        f'<rect width="700" height="340" fill="white"/><text x="50" y="28">{title}</text>'
        f'<polyline points="{points}" fill="none" stroke="#1f77b4" stroke-width="2"/>'
        f'<g font-size="11"><text x="8" y="54">{losses[0]:.3f}</text>'
        f'<text x="8" y="294">{min(losses):.3f}</text>'
        f'<text x="300" y="325">epoch 1 to {len(losses)}, training loss</text></g></svg>\n'
    )


def arguments():
    parser = argparse.ArgumentParser(description="Trains a classifier of handwritten digits.")
    parser.add_argument("--gpu", action="store_true", help="compute through WGSL")
    parser.add_argument("--epochs", type=int, default=40, help="passes over the scans (40)")
    parser.add_argument("--seed", type=int, default=0, help="start of the random numbers (0)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="where the picture goes")
    options = parser.parse_args()
    if options.epochs < 1:
        parser.error(f"--epochs must be at least 1; got {options.epochs}")
    return options


def main():
    options = arguments()
    where = "the CPU"
    if options.gpu:
        if not torch.cuda.is_available():
            print("No GPU adapter was found. RGRAD_GPU=software takes a software driver too.")
            return 1
        where = torch.cuda.get_device_name(0)
    torch.manual_seed(options.seed)
    network = Network((lambda t: t.cuda()) if options.gpu else (lambda t: t))
    lessons, test = split()
    print(f"Handwritten digits: {len(lessons[0])} scans to learn from, {len(test[0])} to test.")
    print(f"Training 64-{HIDDEN}-10 for {options.epochs} epochs on {where}.")

    begin = time.perf_counter()
    losses = train(network, lessons, options)
    accuracy = network.accuracy(*test)
    print(f"Trained in {time.perf_counter() - begin:.1f} s.")
    print(f"Test accuracy: {accuracy:.2f} % (wanted: {WANTED:.0f} %).")
    options.out.mkdir(parents=True, exist_ok=True)
    name = "digits-gpu.png" if options.gpu else "digits.png"
    print(f"Loss curve: {curve(losses, accuracy, options.out / name)}")
    if accuracy < WANTED:
        print("That is less than wanted; more --epochs may help.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
