//! Filling with random numbers, element by element in row-major order (T-109).
