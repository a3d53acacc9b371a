//! Blocks of host memory.

/// A block of at least the bytes asked for, aligned to 8.
pub struct Block(Vec<u64>, usize);
impl Block {
    pub fn as_mut_ptr(&mut self) -> *mut u8 { self.0.as_mut_ptr().cast() }
    pub fn bytes(&self) -> usize { self.1 }
}
pub fn take(bytes: usize) -> Result<Block, ()> {
    let words = bytes.div_ceil(8);
    let mut v = Vec::new();
    v.try_reserve_exact(words).map_err(|_| ())?;
    v.resize(words, 0);
    Ok(Block(v, bytes))
}
pub fn take_zeroed(bytes: usize) -> Result<Block, ()> { take(bytes) }
