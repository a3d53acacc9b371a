//! A tensor: one counted block that holds geometry, version and, when small, the elements.
//!
//! Invariant: every element that sizes, strides and offset can reach lies inside the memory of the
//! root. `Tensor::build` is the only maker and checks it.

use super::alloc::{self, Block};
use super::dims::{self, Dims, sizes_text};
use super::dtype::{DType, Device, Element};
use crate::error::{Error, Result};
use crate::fail;
use parking_lot::Mutex;
use std::any::Any;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering::Relaxed};
use triomphe::ThinArc;

/// Elements up to this many bytes live in the tensor's own block.
const INLINE_BYTES: usize = 64;

const CONTIGUOUS: u8 = 1;
/// Counts versions for itself although it views another's memory.
const OWN_VERSION: u8 = 2;
/// A Variable counts its versions here.
const CLAIMED: u8 = 8;
/// On a root: memory that cannot be resized, since NumPy or another owner has it too.
const FIXED: u8 = 4;

/// A tensor: a cheap handle to elements with a geometry. Clones are the same tensor.
#[derive(Clone)]
pub struct Tensor(ThinArc<Header, Word>);

#[repr(transparent)]
struct Word(UnsafeCell<i64>);

// SAFETY: sizes and strides are never written after `build`; the words behind them are elements,
// which are only touched through raw pointers, as memory shared with NumPy is.
unsafe impl Sync for Word {}

struct Header {
    /// Whose memory this is a view of.
    root: Option<Tensor>,
    /// Whose version counts, when it is not the root's.
    family: Option<Tensor>,
    host: AtomicPtr<u8>,
    bytes: AtomicUsize,
    memory: Option<Box<Memory>>,
    offset: usize,
    version: AtomicU32,
    dtype: DType,
    device: Device,
    ndim: u8,
    flags: AtomicU8,
}

/// Who owns the bytes of a root that does not hold them itself.
enum Memory {
    /// Ours, with earlier blocks that grew too small; those stay until the end, so that no
    /// pointer taken before a resize can dangle.
    Blocks(Mutex<Vec<Block>>),
    /// Somebody else's, alive as long as the value.
    Foreign(#[allow(dead_code, reason = "held for its drop")] Box<dyn Any + Send + Sync>),
    /// On a device: what the device layer made it of.
    Device(Box<dyn Any + Send + Sync>),
}

/// The geometry of a tensor to build.
pub struct Layout {
    pub sizes: Dims,
    pub strides: Dims,
    pub offset: usize,
}

impl Layout {
    /// Row-major from the start of memory.
    pub fn row_major(sizes: &[i64]) -> Layout {
        Layout {
            sizes: Dims::from_slice(sizes),
            strides: dims::row_major(sizes),
            offset: 0,
        }
    }

    /// The last element that can be reached, plus one.
    fn end(&self) -> Option<usize> {
        let mut end = self.offset;
        for (&size, &stride) in self.sizes.iter().zip(&self.strides) {
            if size == 0 {
                return Some(self.offset);
            }
            let reach = usize::try_from((size - 1).checked_mul(stride)?).ok()?;
            end = end.checked_add(reach)?;
        }
        end.checked_add(if self.sizes.is_empty() { 0 } else { 1 })
    }
}

impl Tensor {
    /// An uninitialised row-major tensor on the CPU.
    ///
    /// # Errors
    /// `RuntimeError` for sizes that cannot be, `MemoryError` when there is no room.
    pub fn empty(op: &str, dtype: DType, sizes: &[i64]) -> Result<Tensor> {
        Self::fresh(op, dtype, sizes, false)
    }

    /// A row-major tensor of zeros on the CPU.
    pub fn zeros(op: &str, dtype: DType, sizes: &[i64]) -> Result<Tensor> {
        Self::fresh(op, dtype, sizes, true)
    }

    fn fresh(op: &str, dtype: DType, sizes: &[i64], zeroed: bool) -> Result<Tensor> {
        let count = dims::count(op, sizes)?;
        let bytes = count * dtype.bytes();
        let memory = if bytes <= INLINE_BYTES {
            None
        } else {
            let block = if zeroed {
                alloc::take_zeroed(bytes)
            } else {
                alloc::take(bytes)
            };
            let Ok(block) = block else {
                fail!(
                    Memory,
                    "{op}: no memory for {} ({bytes} bytes)",
                    sizes_text(sizes)
                );
            };
            Some(Memory::Blocks(Mutex::new(vec![block])))
        };
        Ok(Self::root(dtype, sizes, bytes, memory))
    }

    /// A row-major root over `memory`, or over its own words when there is none.
    fn root(dtype: DType, sizes: &[i64], bytes: usize, memory: Option<Memory>) -> Tensor {
        let mut host = std::ptr::null_mut();
        if let Some(Memory::Blocks(blocks)) = &memory {
            host = blocks.lock()[0].as_mut_ptr();
        }
        let header = Header {
            root: None,
            family: None,
            host: AtomicPtr::new(host),
            bytes: AtomicUsize::new(bytes),
            device: if matches!(memory, Some(Memory::Device(_))) {
                Device::Gpu
            } else {
                Device::Cpu
            },
            flags: AtomicU8::new(CONTIGUOUS),
            memory: memory.map(Box::new),
            offset: 0,
            version: AtomicU32::new(0),
            dtype,
            ndim: sizes.len() as u8,
        };
        let inline = if header.memory.is_none() {
            bytes.div_ceil(8)
        } else {
            0
        };
        let strides = dims::row_major(sizes);
        let words = Words {
            sizes,
            strides: &strides,
            inline,
            at: 0,
        };
        let tensor = Tensor(ThinArc::from_header_and_iter(header, words));
        if inline > 0 {
            let own = tensor.0.slice[2 * sizes.len()].0.get();
            tensor.header().host.store(own.cast(), Relaxed);
        }
        tensor
    }

    /// A tensor over bytes that `keep` keeps alive.
    ///
    /// # Safety
    /// `host` must point to `bytes` bytes, aligned for `dtype`, valid for reading and writing until
    /// `keep` is dropped.
    pub unsafe fn foreign(
        dtype: DType,
        layout: Layout,
        host: *mut u8,
        bytes: usize,
        keep: Box<dyn Any + Send + Sync>,
    ) -> Result<Tensor> {
        let root = Self::root(
            dtype,
            &[(bytes / dtype.bytes()) as i64],
            bytes,
            Some(Memory::Foreign(keep)),
        );
        root.header().host.store(host, Relaxed);
        root.fix();
        root.build(layout, 0, None)
    }

    /// A row-major tensor whose elements are on the device, in `memory`.
    pub fn on_device(
        op: &str,
        dtype: DType,
        sizes: &[i64],
        memory: Box<dyn Any + Send + Sync>,
    ) -> Result<Tensor> {
        let bytes = dims::count(op, sizes)? * dtype.bytes();
        Ok(Self::root(
            dtype,
            sizes,
            bytes,
            Some(Memory::Device(memory)),
        ))
    }

    /// Another tensor on the same memory.
    ///
    /// # Errors
    /// `RuntimeError` when the geometry reaches outside the memory.
    pub fn with_layout(&self, layout: Layout) -> Result<Tensor> {
        self.build(layout, 0, None)
    }

    /// The same elements with a version count of their own, as `Variable(x.data)` has.
    pub fn with_own_version(&self) -> Tensor {
        let layout = Layout {
            sizes: Dims::from_slice(self.sizes()),
            strides: Dims::from_slice(self.strides()),
            offset: self.offset(),
        };
        self.build(layout, OWN_VERSION, None)
            .expect("the geometry was checked before")
    }

    /// The same memory read as another element type of the same width.
    pub fn with_dtype(&self, dtype: DType, layout: Layout) -> Result<Tensor> {
        self.build(layout, 0, Some(dtype))
    }

    fn build(&self, layout: Layout, flags: u8, dtype: Option<DType>) -> Result<Tensor> {
        let dtype = dtype.unwrap_or(self.dtype());
        let root = self.memory_root();
        let room = root.header().bytes.load(Relaxed) / dtype.bytes();
        match layout.end() {
            Some(end) if end <= room => {}
            _ => fail!(
                Runtime,
                "a view of {} with strides {:?} from element {} reaches outside a storage of {room} elements",
                sizes_text(&layout.sizes),
                layout.strides.as_slice(),
                layout.offset
            ),
        }
        let contiguous = dims::is_contiguous(&layout.sizes, &layout.strides);
        let own = flags & OWN_VERSION != 0;
        let header = Header {
            root: Some(root.clone()),
            family: if own { None } else { self.version_family() },
            host: AtomicPtr::new(std::ptr::null_mut()),
            bytes: AtomicUsize::new(0),
            memory: None,
            offset: layout.offset,
            version: AtomicU32::new(0),
            dtype,
            device: self.device(),
            ndim: layout.sizes.len() as u8,
            flags: AtomicU8::new(flags | if contiguous { CONTIGUOUS } else { 0 }),
        };
        let words = Words {
            sizes: &layout.sizes,
            strides: &layout.strides,
            inline: 0,
            at: 0,
        };
        Ok(Tensor(ThinArc::from_header_and_iter(header, words)))
    }

    /// Who counts versions for a view of this; none when the root does.
    fn version_family(&self) -> Option<Tensor> {
        if self.has(OWN_VERSION) {
            return Some(self.clone());
        }
        self.header().family.clone()
    }

    #[inline(always)]
    fn header(&self) -> &Header {
        &self.0.header.header
    }

    #[inline(always)]
    fn word_slice(&self) -> &[i64] {
        let words = &self.0.slice;
        // SAFETY: `Word` is a transparent cell of an i64; the first 2 * ndim are never written.
        unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), 2 * self.ndim()) }
    }

    /// The tensor that owns the memory.
    #[inline(always)]
    pub fn memory_root(&self) -> &Tensor {
        self.header().root.as_ref().unwrap_or(self)
    }

    /// Sizes, outermost first.
    #[inline(always)]
    pub fn sizes(&self) -> &[i64] {
        &self.word_slice()[..self.ndim()]
    }

    /// Steps in elements, outermost first.
    #[inline(always)]
    pub fn strides(&self) -> &[i64] {
        &self.word_slice()[self.ndim()..]
    }

    /// The first element's place in the storage.
    #[inline(always)]
    pub fn offset(&self) -> usize {
        self.header().offset
    }

    /// The number of dimensions; 0 for an empty tensor.
    #[inline(always)]
    pub fn ndim(&self) -> usize {
        self.header().ndim as usize
    }

    /// The number of elements.
    #[inline(always)]
    pub fn numel(&self) -> usize {
        match self.sizes() {
            [] => 0,
            sizes => sizes.iter().product::<i64>() as usize,
        }
    }

    #[inline(always)]
    pub fn dtype(&self) -> DType {
        self.header().dtype
    }

    #[inline(always)]
    pub fn device(&self) -> Device {
        self.header().device
    }

    /// Class and place, for [`super::dtype::same`].
    #[inline(always)]
    pub fn kind(&self) -> (DType, Device) {
        (self.header().dtype, self.header().device)
    }

    /// Whether elements follow each other row by row (T-37).
    #[inline(always)]
    pub fn is_contiguous(&self) -> bool {
        self.has(CONTIGUOUS)
    }

    /// Whether the storage can grow.
    pub fn is_resizable(&self) -> bool {
        !self.memory_root().has(FIXED)
    }

    /// Forbids resizing from here on: somebody else looks at the memory (T-86).
    pub fn fix(&self) {
        self.memory_root().header().flags.fetch_or(FIXED, Relaxed);
    }

    #[inline(always)]
    fn has(&self, flag: u8) -> bool {
        self.header().flags.load(Relaxed) & flag != 0
    }

    /// Whether both use the same memory, at any place in it.
    pub fn shares_memory(&self, other: &Tensor) -> bool {
        self.memory_root().address() == other.memory_root().address()
    }

    /// Whether both are one tensor object.
    pub fn is(&self, other: &Tensor) -> bool {
        self.address() == other.address()
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self.header()) as usize
    }

    /// Elements the storage has room for.
    pub fn storage_len(&self) -> usize {
        self.memory_root().header().bytes.load(Relaxed) / self.dtype().bytes()
    }

    /// Whether no other handle, view or storage sees these elements, so they may be overwritten.
    pub fn is_unique(&self) -> bool {
        ThinArc::strong_count(&self.0) == 1
            && self.header().root.is_none()
            && self.header().family.is_none()
    }

    /// The in-place counter of the family: base, views and detached twins share it.
    #[inline(always)]
    pub fn version(&self) -> u32 {
        self.counter().load(Relaxed)
    }

    /// Takes the version counter for a Variable; tells whether nobody had it.
    pub fn claim(&self) -> bool {
        let flags = &self.memory_root().header().flags;
        // Looked at first: the locked instruction costs more than the rest of a small op's making.
        let seen = flags.load(Relaxed);
        if seen & CLAIMED != 0 {
            return false;
        }
        flags.store(seen | CLAIMED, Relaxed);
        true
    }

    /// Counts one in-place change.
    pub fn bump(&self) {
        self.counter().fetch_add(1, Relaxed);
    }

    #[inline(always)]
    fn counter(&self) -> &AtomicU32 {
        let header = self.header();
        if header.root.is_none() || self.has(OWN_VERSION) {
            return &header.version;
        }
        let counts = header.family.as_ref().unwrap_or(self.memory_root());
        &counts.header().version
    }

    /// What the device layer keeps for this tensor's memory; none on the CPU.
    pub fn device_memory(&self) -> Option<&(dyn Any + Send + Sync)> {
        match self.memory_root().header().memory.as_deref() {
            Some(Memory::Device(memory)) => Some(memory.as_ref()),
            _ => None,
        }
    }

    /// The address of the first element. Reading through it is the caller's responsibility; null
    /// for tensors that are not in host memory.
    #[inline(always)]
    pub fn ptr(&self) -> *mut u8 {
        let base = self.memory_root().header().host.load(Relaxed);
        base.wrapping_add(self.offset() * self.dtype().bytes())
    }

    /// Gives the storage room for `elements`, keeping what it holds (`resize_`, T-41).
    ///
    /// # Errors
    /// `RuntimeError` when the memory belongs to somebody else, `MemoryError` without room.
    pub fn grow(&self, op: &str, elements: usize) -> Result<()> {
        let bytes = elements.checked_mul(self.dtype().bytes()).ok_or_else(|| {
            Error::Memory(format!(
                "{op}: {elements} elements are more than memory can hold"
            ))
        })?;
        let root = self.memory_root().header();
        let old = root.bytes.load(Relaxed);
        if bytes <= old {
            return Ok(());
        }
        if !self.is_resizable() {
            fail!(
                Runtime,
                "{op}: the storage is not resizable: its {old} bytes belong to NumPy or are shared; clone() the tensor first"
            );
        }
        let Ok(block) = alloc::take_zeroed(bytes) else {
            fail!(Memory, "{op}: no memory for {bytes} bytes");
        };
        let to = block.as_mut_ptr();
        match root.memory.as_deref() {
            Some(Memory::Blocks(blocks)) => {
                let mut blocks = blocks.lock();
                // SAFETY: both blocks are at least `old` bytes and are different blocks.
                unsafe { std::ptr::copy_nonoverlapping(root.host.load(Relaxed), to, old) };
                root.host.store(to, Relaxed);
                root.bytes.store(bytes, Relaxed);
                blocks.push(block);
                Ok(())
            }
            _ => fail!(
                Runtime,
                "{op}: this storage cannot grow in place; it holds {old} bytes"
            ),
        }
    }

    /// Whether [`Tensor::grow`] can work in place; small tensors and device memory are replaced.
    pub fn grows_in_place(&self) -> bool {
        matches!(
            self.memory_root().header().memory.as_deref(),
            Some(Memory::Blocks(_))
        )
    }

    /// A one-dimensional tensor with these elements.
    pub fn from_slice<T: Element>(values: &[T]) -> Result<Tensor> {
        let sizes = if values.is_empty() {
            Dims::new()
        } else {
            Dims::from_slice(&[values.len() as i64])
        };
        let tensor = Tensor::empty("tensor", T::DTYPE, &sizes)?;
        // SAFETY: a fresh contiguous tensor of exactly `values.len()` elements of type `T`.
        unsafe {
            std::ptr::copy_nonoverlapping(values.as_ptr(), tensor.ptr().cast(), values.len())
        };
        Ok(tensor)
    }

    /// The element at an element offset from the first one, as stored.
    ///
    /// # Panics
    /// Outside the storage, on another element type, or off the CPU.
    pub fn read<T: Element>(&self, at: i64) -> T {
        // SAFETY: `place` checks type, device and range.
        unsafe { self.place::<T>(at).read() }
    }

    /// Writes the element at an element offset from the first one.
    ///
    /// # Panics
    /// As [`Tensor::read`].
    pub fn write<T: Element>(&self, at: i64, value: T) {
        // SAFETY: `place` checks type, device and range.
        unsafe { self.place::<T>(at).write(value) }
    }

    fn place<T: Element>(&self, at: i64) -> *mut T {
        let place = self.offset() as i64 + at;
        assert!(
            T::DTYPE == self.dtype()
                && self.device() == Device::Cpu
                && place >= 0
                && (place as usize) < self.storage_len(),
            "element {at} of a {:?} tensor",
            self.dtype()
        );
        self.ptr().cast::<T>().wrapping_offset(at as isize)
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}[{}]", self.dtype(), sizes_text(self.sizes()))
    }
}

/// Sizes, strides, then zeroed room for the elements.
struct Words<'a> {
    sizes: &'a [i64],
    strides: &'a [i64],
    inline: usize,
    at: usize,
}

impl Iterator for Words<'_> {
    type Item = Word;

    #[inline(always)]
    fn next(&mut self) -> Option<Word> {
        let (at, n) = (self.at, self.sizes.len());
        self.at += 1;
        let value = match at {
            _ if at < n => self.sizes[at],
            _ if at < 2 * n => self.strides[at - n],
            _ => 0,
        };
        (at < 2 * n + self.inline).then_some(Word(UnsafeCell::new(value)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = 2 * self.sizes.len() + self.inline - self.at;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Words<'_> {}
