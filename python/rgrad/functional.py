"""Functions that take tensors and Variables alike and are made of other operations."""


def _dim(tensor, dim):
    n = tensor.dim()
    if not -n <= dim < n:
        raise RuntimeError(
            f"dimension out of range (expected to be in [{-n}, {n - 1}], but got {dim})"
        )
    return dim % n


def split(tensor, split_size, dim=0):
    """Parts of `split_size` along `dim`; the last may be smaller. Views."""
    dim = _dim(tensor, dim)
    if split_size < 1:
        raise RuntimeError(f"split: the size of a part must be positive; got {split_size}")
    size = tensor.size(dim)
    return tuple(
        tensor.narrow(dim, start, min(split_size, size - start))
        for start in range(0, size, split_size)
    )


def chunk(tensor, chunks, dim=0):
    """About `chunks` parts of equal size along `dim`. Views."""
    if chunks < 1:
        raise RuntimeError(f"chunk: the number of parts must be positive; got {chunks}")
    size = tensor.size(_dim(tensor, dim))
    return split(tensor, -(-size // chunks), dim)


def unbind(tensor, dim=0):
    """All slices along `dim`, without that dimension. Views."""
    return tuple(tensor.select(dim, i) for i in range(tensor.size(dim)))
