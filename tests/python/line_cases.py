"""What tests of operations along a dimension share: parameters, values with ties, both kinds."""

import numpy as np
import pytest

from rgrad.autograd import Variable
from support import CLASSES, FLOATS, array, numbers, tensor

every_class = pytest.mark.parametrize("name", CLASSES)
every_float = pytest.mark.parametrize("name", FLOATS)
every_dim = pytest.mark.parametrize("dim", [0, 1, 2, -1, -3])
SMALL = numbers(2, 3, 4)
# Ties, and more than one most frequent value.
TIED = np.array([[3, 1, 3, 2, 1], [0, 0, 5, 5, 4], [7, 7, 7, 1, 1]])


def both(name, a):
    """The same values as a tensor and as a Variable."""
    return tensor(name, a), Variable(tensor(name, a))


def taken(a, index, dim):
    """What the reported places hold: values may tie, places must be of them."""
    return np.take_along_axis(a, array(index), dim)
