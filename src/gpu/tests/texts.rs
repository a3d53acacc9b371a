//! The list of shaders.
