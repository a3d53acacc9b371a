//! Tiles of a transpose. A tile is turned in cache and leaves it as whole lines: written element by
//! element, a matrix whose rows are a power of two apart meets the same few cache sets all the time.

use std::mem::MaybeUninit;

/// Bytes of a tile's side. Two lines each way were fastest of all sides from 64 to 512.
pub const SIDE: usize = 128;

/// An element as bits.
pub trait Unit: Copy + Send + Sync {
    /// Elements of a tile's side.
    const TILE: usize = SIDE / size_of::<Self>();
    /// Elements of the side of what [`Unit::turn`] turns at once.
    const BLOCK: usize;

    /// `to[c][r] = from[r][c]` for one block.
    ///
    /// # Safety
    /// Both blocks must be inside their memory, and the processor must have AVX2.
    unsafe fn turn(from: *const Self, from_step: isize, to: *mut Self, to_step: isize);
}

/// Where a tile is: `to[c][r] = from[r][c]` for `rows` by `columns`.
#[derive(Clone, Copy)]
pub struct Tile<U> {
    pub from: *const U,
    pub from_step: isize,
    pub to: *mut U,
    pub to_step: isize,
    pub rows: usize,
    pub columns: usize,
}

/// Room for a tile of any element type.
#[repr(C, align(64))]
struct Stage([u8; SIDE * SIDE]);

impl<U: Unit> Tile<U> {
    /// Turns the tile, which has at most [`Unit::TILE`] elements on a side; past the cache where
    /// `stream` says so.
    ///
    /// # Safety
    /// All elements must be inside their memory, and the target must not overlap the source.
    pub unsafe fn turn(self, stream: bool) {
        // SAFETY: as promised to this function; the vectors are asked for just before.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                return self.turn_wide(stream);
            }
            self.turn_with(stream, |_, _| 0)
        }
    }

    /// # Safety
    /// As [`Tile::turn`], with AVX2.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    unsafe fn turn_wide(self, stream: bool) {
        // SAFETY: blocks that start below `rows` and `columns` rounded down are inside the tile.
        unsafe {
            self.turn_with(
                stream,
                #[inline(always)]
                |stage, r| {
                    let whole = self.columns - self.columns % U::BLOCK;
                    if r + U::BLOCK > self.rows {
                        return 0;
                    }
                    let from = self.from.offset(r as isize * self.from_step);
                    let mut c = 0;
                    while c < whole {
                        let to = stage.add(c * self.rows + r);
                        U::turn(from.add(c), self.from_step, to, self.rows as isize);
                        c += U::BLOCK;
                    }
                    whole
                },
            );
        }
    }

    /// Turns blocks of rows with `block`, which says how many columns it did, and the rest one by one.
    ///
    /// # Safety
    /// As [`Tile::turn`].
    #[inline(always)]
    unsafe fn turn_with(self, stream: bool, block: impl Fn(*mut U, usize) -> usize) {
        let mut stage = MaybeUninit::<Stage>::uninit();
        let stage = stage.as_mut_ptr().cast::<U>();
        let (rows, columns) = (self.rows, self.columns);
        let mut r = 0;
        while r < rows {
            let done = block(stage, r);
            let next = if done > 0 || r + U::BLOCK <= rows {
                r + U::BLOCK
            } else {
                rows
            };
            for row in r..next {
                for c in done..columns {
                    // SAFETY: inside the tile, and the stage holds a whole one.
                    unsafe {
                        let from = self.from.offset(row as isize * self.from_step).add(c);
                        stage.add(c * rows + row).write(from.read());
                    }
                }
            }
            r = next;
        }
        // SAFETY: the loops above filled `rows` by `columns` of the stage.
        unsafe {
            if self.to_step == rows as isize {
                return write_out(stage, self.to, rows * columns, stream);
            }
            for c in 0..columns {
                let to = self.to.offset(c as isize * self.to_step);
                write_out(stage.add(c * rows), to, rows, stream);
            }
        }
    }
}

/// Copies `count` elements in a row, past the cache where `stream` says so and the place allows it.
///
/// # Safety
/// Both runs must be inside their memory and apart.
#[inline(always)]
pub unsafe fn write_out<U: Unit>(from: *const U, to: *mut U, count: usize, stream: bool) {
    // SAFETY: as promised to this function.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if stream {
            return stream_bytes(from.cast(), to.cast(), count * size_of::<U>());
        }
        let _ = stream;
        std::ptr::copy_nonoverlapping(from, to, count);
    }
}

/// Copies bytes past the cache; what does not fill an aligned half line goes the usual way.
///
/// # Safety
/// As [`write_out`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn stream_bytes(from: *const u8, to: *mut u8, bytes: usize) {
    use std::arch::x86_64::{_mm_loadu_si128, _mm_stream_si128};
    let head = to.align_offset(16).min(bytes);
    let wide = (bytes - head) / 16;
    // SAFETY: the three parts make up the run, and the middle one starts at a multiple of 16.
    unsafe {
        std::ptr::copy_nonoverlapping(from, to, head);
        let (from, to) = (from.add(head), to.add(head));
        for i in 0..wide {
            let v = _mm_loadu_si128(from.add(16 * i).cast());
            _mm_stream_si128(to.add(16 * i).cast(), v);
        }
        let done = wide * 16;
        std::ptr::copy_nonoverlapping(from.add(done), to.add(done), bytes - head - done);
    }
}

/// Makes what was written past the cache visible to other threads.
pub fn settle() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a fence touches no memory of ours, and every such processor has it.
    unsafe {
        std::arch::x86_64::_mm_sfence()
    };
}

#[cfg(target_arch = "x86_64")]
mod blocks {
    use super::Unit;
    use std::arch::x86_64::*;

    impl Unit for u8 {
        const BLOCK: usize = 8;

        #[inline(always)]
        unsafe fn turn(from: *const u8, from_step: isize, to: *mut u8, to_step: isize) {
            // SAFETY: eight rows of eight bytes on both sides.
            unsafe {
                let row = |i: isize| _mm_loadl_epi64(from.offset(i * from_step).cast());
                let pair = |i: isize| _mm_unpacklo_epi8(row(i), row(i + 1));
                let (a, b, c, d) = (pair(0), pair(2), pair(4), pair(6));
                let (e, f) = (_mm_unpacklo_epi16(a, b), _mm_unpackhi_epi16(a, b));
                let (g, h) = (_mm_unpacklo_epi16(c, d), _mm_unpackhi_epi16(c, d));
                let quads = [
                    _mm_unpacklo_epi32(e, g),
                    _mm_unpackhi_epi32(e, g),
                    _mm_unpacklo_epi32(f, h),
                    _mm_unpackhi_epi32(f, h),
                ];
                for (i, &two) in quads.iter().enumerate() {
                    let at = to.offset(2 * i as isize * to_step);
                    _mm_storel_epi64(at.cast(), two);
                    _mm_storel_epi64(at.offset(to_step).cast(), _mm_unpackhi_epi64(two, two));
                }
            }
        }
    }

    impl Unit for u16 {
        const BLOCK: usize = 8;

        #[inline(always)]
        unsafe fn turn(from: *const u16, from_step: isize, to: *mut u16, to_step: isize) {
            // SAFETY: eight rows of eight elements on both sides.
            unsafe {
                let row = |i: isize| _mm_loadu_si128(from.offset(i * from_step).cast());
                let pair = |i: isize| {
                    let (a, b) = (row(i), row(i + 1));
                    (_mm_unpacklo_epi16(a, b), _mm_unpackhi_epi16(a, b))
                };
                let (a, b, c, d) = (pair(0), pair(2), pair(4), pair(6));
                let four =
                    |x: __m128i, y: __m128i| (_mm_unpacklo_epi32(x, y), _mm_unpackhi_epi32(x, y));
                let low = [four(a.0, b.0), four(a.1, b.1)];
                let high = [four(c.0, d.0), four(c.1, d.1)];
                for i in 0..2 {
                    let at = to.offset(4 * i as isize * to_step);
                    let put = |k: isize, v| _mm_storeu_si128(at.offset(k * to_step).cast(), v);
                    put(0, _mm_unpacklo_epi64(low[i].0, high[i].0));
                    put(1, _mm_unpackhi_epi64(low[i].0, high[i].0));
                    put(2, _mm_unpacklo_epi64(low[i].1, high[i].1));
                    put(3, _mm_unpackhi_epi64(low[i].1, high[i].1));
                }
            }
        }
    }

    impl Unit for u32 {
        const BLOCK: usize = 8;

        #[inline(always)]
        unsafe fn turn(from: *const u32, from_step: isize, to: *mut u32, to_step: isize) {
            // SAFETY: eight rows of eight elements on both sides.
            unsafe {
                let row = |i: isize| _mm256_loadu_si256(from.offset(i * from_step).cast());
                let pair = |i: isize| {
                    let (a, b) = (row(i), row(i + 1));
                    (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b))
                };
                let four = |i: isize| {
                    let (a, b) = (pair(i), pair(i + 2));
                    [
                        _mm256_unpacklo_epi64(a.0, b.0),
                        _mm256_unpackhi_epi64(a.0, b.0),
                        _mm256_unpacklo_epi64(a.1, b.1),
                        _mm256_unpackhi_epi64(a.1, b.1),
                    ]
                };
                let (top, bottom) = (four(0), four(4));
                for i in 0..4 {
                    let low = _mm256_permute2x128_si256::<0x20>(top[i], bottom[i]);
                    let high = _mm256_permute2x128_si256::<0x31>(top[i], bottom[i]);
                    _mm256_storeu_si256(to.offset(i as isize * to_step).cast(), low);
                    _mm256_storeu_si256(to.offset((i as isize + 4) * to_step).cast(), high);
                }
            }
        }
    }

    impl Unit for u64 {
        const BLOCK: usize = 4;

        #[inline(always)]
        unsafe fn turn(from: *const u64, from_step: isize, to: *mut u64, to_step: isize) {
            // SAFETY: four rows of four elements on both sides.
            unsafe {
                let row = |i: isize| _mm256_loadu_si256(from.offset(i * from_step).cast());
                let pair = |i: isize| {
                    let (a, b) = (row(i), row(i + 1));
                    [_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b)]
                };
                let (top, bottom) = (pair(0), pair(2));
                for i in 0..2 {
                    let low = _mm256_permute2x128_si256::<0x20>(top[i], bottom[i]);
                    let high = _mm256_permute2x128_si256::<0x31>(top[i], bottom[i]);
                    _mm256_storeu_si256(to.offset(i as isize * to_step).cast(), low);
                    _mm256_storeu_si256(to.offset((i as isize + 2) * to_step).cast(), high);
                }
            }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod blocks {
    use super::Unit;

    macro_rules! units {
        ($($u:ident)*) => {$(
            impl Unit for $u {
                const BLOCK: usize = 8;

                unsafe fn turn(from: *const $u, from_step: isize, to: *mut $u, to_step: isize) {
                    for r in 0..8 {
                        for c in 0..8 {
                            // SAFETY: eight rows of eight elements on both sides.
                            unsafe {
                                let v = from.offset(r * from_step + c).read();
                                to.offset(c * to_step + r).write(v);
                            }
                        }
                    }
                }
            }
        )*};
    }
    units!(u8 u16 u32 u64);
}
